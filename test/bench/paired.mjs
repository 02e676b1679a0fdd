// Servers in processes of their own, compared round by round: requests per second, and the CPU time one request costs the server.
import { fork } from 'node:child_process'
import { once } from 'node:events'

/**
 * Starts a script that answers one message at a time.
 *
 * @param {string} script beside this file
 * @param {import('node:child_process').ForkOptions} [options]
 */
export function startProcess(script, options) {
  const child = fork(new URL(script, import.meta.url), options)
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`${script} ended: ${signal ?? code}`)
  })
  ended.catch(() => {})
  return {
    ask: async (message) => {
      child.send(message)
      const [answer] = await Promise.race([once(child, 'message'), ended])
      return answer
    },
    stop: () => child.kill(),
  }
}

/**
 * Starts a script that listens with several servers and answers as {@link serve} does.
 *
 * @param {string} script beside this file
 * @param {object} setup what its `serve` is given
 */
export async function startServers(script, setup) {
  const { ask, stop } = startProcess(script)
  return {
    ports: await ask(setup),
    /** Microseconds all its threads have worked. Other processes disturb that least. */
    cpu: async () => {
      const { user, system } = await ask('cpu')
      return user + system
    },
    stop,
  }
}

/**
 * The child's side of {@link startServers}.
 *
 * @param {(setup: object) => Record<string, import('node:net').Server>} serversOf by name
 */
export function serve(serversOf) {
  process.once('message', async (setup) => {
    const servers = Object.entries(serversOf(setup))
    const listening = servers.map(async ([name, server]) => {
      // A variant waits longer for its turn than Node keeps a connection.
      server.keepAliveTimeout = 0
      await once(server.listen(0, '127.0.0.1'), 'listening')
      return [name, server.address().port]
    })
    process.on('message', (message) => {
      if (message === 'cpu') process.send(process.cpuUsage())
    })
    process.send(Object.fromEntries(await Promise.all(listening)))
  })
  process.on('disconnect', () => process.exit())
}

/**
 * Runs every variant once per round, in an order that is drawn anew each time, and prints what each costs beside the first.
 *
 * @typedef {object} Variant
 * @property {string} name
 * @property {(count: number, round: number) => Promise<void>} run has `count` requests answered
 * @property {number} [within] target: microseconds over the first variant
 * @property {number} [percent] target: percent over the first variant
 * @property {number} [rate] target: requests per second, of those of the first variant
 *
 * @param {string} title
 * @param {readonly Variant[]} variants the first is the floor
 * @param {object} how
 * @param {() => Promise<number>} how.cpu microseconds the server has worked
 * @param {number} how.count requests of a variant in one round
 * @param {number} how.rounds
 * @param {number} [how.warmUps] rounds before the first that counts
 */
export async function compare(title, variants, { cpu, count, rounds, warmUps = 5 }) {
  const measured = new Map(variants.map(({ name }) => [name, []]))
  for (let round = -warmUps; round < rounds; round++) {
    for (const { name, run } of shuffled(variants)) {
      const [cpuBefore, before] = [await cpu(), performance.now()]
      await run(count, round + warmUps)
      const millis = performance.now() - before
      const micros = ((await cpu()) - cpuBefore) / count
      if (round >= 0) measured.get(name).push({ rate: (count * 1000) / millis, micros })
    }
  }
  print(title, variants, measured, rounds)
}

function shuffled(items) {
  const drawn = [...items]
  for (let i = drawn.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    ;[drawn[i], drawn[j]] = [drawn[j], drawn[i]]
  }
  return drawn
}

function print(title, variants, measured, rounds) {
  console.log(`\n### ${title}, ${rounds} rounds\n`)
  console.log('| | requests/s | of no-op | CPU µs | over no-op, µs [95 %] | % [95 %] | target |')
  console.log('|---|---:|---:|---:|---:|---:|---|')
  const floor = measured.get(variants[0].name)
  const floorMicros = median(floor.map(({ micros }) => micros))
  for (const { name, within, percent, rate } of variants) {
    const own = measured.get(name)
    const rates = interval(own.map((block, i) => block.rate / floor[i].rate))
    const micros = interval(own.map((block, i) => block.micros - floor[i].micros))
    const percents = micros.map((value) => (value / floorMicros) * 100)
    const targets = [
      ...(within === undefined ? [] : [`≤ ${within} µs ${verdict(micros, within)}`]),
      ...(percent === undefined ? [] : [`≤ +${percent} % ${verdict(percents, percent)}`]),
      // Of a rate, more is better.
      ...(rate === undefined ? [] : [`≥ ${rate} of no-op ${verdict([-rates[0], -rates[2], -rates[1]], -rate)}`]),
    ]
    const isFloor = own === floor
    console.log(
      `| ${[
        name,
        median(own.map((block) => block.rate)).toFixed(0),
        isFloor ? '1.00' : rates[0].toFixed(2),
        median(own.map((block) => block.micros)).toFixed(1),
        isFloor ? '' : withInterval(micros, 1),
        isFloor ? '' : withInterval(percents, 1),
        targets.join(', '),
      ].join(' | ')} |`,
    )
  }
}

const signed = (value, digits) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`
const withInterval = ([middle, low, high], digits) =>
  `${signed(middle, digits)} [${signed(low, digits)}, ${signed(high, digits)}]`

/** A target is met, or missed, where the noise leaves no doubt. */
function verdict([middle, low, high], most) {
  if (high <= most) return 'met'
  if (low > most) return 'MISSED'
  return `${middle <= most ? 'met' : 'MISSED'} (within the noise)`
}

const sorted = (values) => values.toSorted((a, b) => a - b)
const median = (values) => sorted(values)[values.length >> 1]

/**
 * The middle of paired values and its 95 % interval: the median of the means of all pairs (Hodges and Lehmann), between those Wilcoxon's signed
 * ranks leave. It asks of noise only that it falls on both sides alike, and one round in four may be spoiled.
 *
 * @param {readonly number[]} values
 * @returns {[middle: number, low: number, high: number]}
 */
export function interval(values) {
  const means = []
  for (let i = 0; i < values.length; i++)
    for (let j = i; j < values.length; j++) means.push((values[i] + values[j]) / 2)
  const ordered = sorted(means)
  const n = values.length
  const spread = 1.96 * Math.sqrt((n * (n + 1) * (2 * n + 1)) / 24)
  // Too few rounds for an interval: their extremes.
  const outside = Math.max(0, Math.floor((n * (n + 1)) / 4 - spread) - 1)
  return [ordered[ordered.length >> 1], ordered[outside], ordered[ordered.length - 1 - outside]]
}

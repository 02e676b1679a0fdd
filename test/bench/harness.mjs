import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const warmUpMillis = 150
const roundMillis = 4

/**
 * Measures the rows of one table and prints it.
 *
 * @typedef {() => unknown} Operation synchronous, or returning a promise
 * @typedef {object} Row
 * @property {string} name
 * @property {Operation} ours
 * @property {number} [per] units one call works through; times are of one unit. Default 1.
 * @property {Operation} [floor] what the machine cannot do this without, or what ours is compared with
 * @property {number} [floorPer] the same for `floor`
 * @property {Record<string, Operation>} [peers] other ways to the same result
 * @property {number} [atMost] target: ratio of ours to the floor
 * @property {number} [above] target: nanoseconds ours takes longer than the floor; a table with one prints them for all rows
 * @property {number} [within] target: microseconds of ours
 * @property {number} [faster] target: how many times faster than each peer
 * @property {string} [note]
 *
 * @param {string} title
 * @param {readonly Row[]} rows
 * @param {number} rounds
 * @param {boolean} [collect] collect garbage before each round of each operation: where one leaves so much that the next would pay for it
 */
export async function measure(title, rows, rounds, collect = false) {
  const operations = new Set(rows.flatMap(({ ours, floor, peers = {} }) => [ours, floor, ...Object.values(peers)]))
  operations.delete(undefined)
  const times = await interleave([...operations], rounds, collect ? garbageCollector() : () => {})
  const unused = rows.some(({ above }) => above !== undefined) ? [] : ['over ns']
  print(
    title,
    rows.map((row) => summarize(row, times)),
    unused,
  )
}

/** @returns {Promise<Map<Operation, number[]>>} microseconds of one call, round by round */
async function interleave(operations, rounds, settle) {
  const plans = []
  for (const operation of operations) plans.push(await plan(operation))
  for (let round = 0; round < rounds; round++) {
    for (const { run, calls, times } of plans) {
      settle()
      times.push(await run(calls))
    }
  }
  return new Map(plans.map(({ operation, times }) => [operation, times]))
}

function garbageCollector() {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc')
}

/** Warms an operation up, and finds how many calls fill its share of a round. */
async function plan(operation) {
  const run = operation() instanceof Promise ? timeAsync(operation) : timeSync(operation)
  const until = performance.now() + warmUpMillis
  let micros = Number.POSITIVE_INFINITY
  for (let calls = 1; performance.now() < until; calls = Math.min(calls * 2, 1 + Math.floor(10_000 / micros))) {
    micros = Math.min(micros, await run(calls))
  }
  return { operation, run, calls: Math.max(1, Math.round((roundMillis * 1000) / micros)), times: [] }
}

/** Where results go, so that no call may be left out. */
export let sink

const timeSync = (operation) => (calls) => {
  const from = process.hrtime.bigint()
  for (let i = 0; i < calls; i++) sink = operation()
  return Number(process.hrtime.bigint() - from) / 1000 / calls
}

const timeAsync = (operation) => async (calls) => {
  const from = process.hrtime.bigint()
  for (let i = 0; i < calls; i++) sink = await operation()
  return Number(process.hrtime.bigint() - from) / 1000 / calls
}

function summarize(
  { name, ours, per = 1, floor, floorPer = 1, peers = {}, atMost, above, within, faster, note = '' },
  times,
) {
  const of = (operation, units) => times.get(operation).map((micros) => micros / units)
  const own = of(ours, per)
  const best = Math.min(...own)
  const base = floor && of(floor, floorPer)
  const lowest = base && best / Math.min(...base)
  const nanos = base && (best - Math.min(...base)) * 1000
  const factors = Object.values(peers).map((peer) => Math.min(...of(peer, 1)) / best)
  const met = [
    ...(atMost === undefined ? [] : [[`≤ ${atMost}`, lowest <= atMost]]),
    ...(above === undefined ? [] : [[`≤ ${above} ns over`, nanos <= above]]),
    ...(within === undefined ? [] : [[`≤ ${within} µs`, best <= within]]),
    ...(faster === undefined ? [] : [[`${faster}× faster`, factors.every((factor) => factor >= faster)]]),
  ]
  return [
    name,
    micros(best),
    base ? micros(Math.min(...base)) : '',
    Object.keys(peers)
      .map((peer, i) => `${peer} ${micros(best * factors[i])} (×${round(factors[i])})`)
      .join(', '),
    lowest === undefined ? '' : round(lowest),
    base ? round(median(own.map((value, i) => value / base[i]))) : '',
    base ? nanos.toFixed(0) : '',
    met.map(([target, isMet]) => `${target} ${isMet ? 'met' : 'MISSED'}`).join(', '),
    note,
  ]
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]
const micros = (value) => (value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(3))
const round = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2))

const headings = ['operation', 'ours µs', 'floor µs', 'peers µs', 'ratio min', 'median', 'over ns', 'target', 'note']

function print(title, cells, unused) {
  const used = headings.map(
    (heading, column) => column < 2 || (!unused.includes(heading) && cells.some((row) => row[column] !== '')),
  )
  const lines = [headings, ...cells].map((row) => row.filter((_, column) => used[column]))
  const widths = lines[0].map((_, column) => Math.max(...lines.map((row) => row[column].length)))
  const isText = lines[0].map((heading) => !/^(ours|floor|ratio|median|over)/.test(heading))
  console.log(`\n### ${title}\n`)
  lines.forEach((row, i) => {
    const padded = row.map((cell, j) => (isText[j] ? cell.padEnd(widths[j]) : cell.padStart(widths[j])))
    console.log(`| ${padded.join(' | ')} |`)
    if (i === 0)
      console.log(
        `| ${widths.map((width, j) => (isText[j] ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`,
      )
  })
}

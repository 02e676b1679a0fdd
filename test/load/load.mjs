#!/usr/bin/env node
// Holds thousands of keep-alive mTLS connections against one server, and checks every answer: `npm run load`. See --help.
import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { cpus } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createChanges } from './changes.mjs'
import { connectionsOf, createPopulation } from './population.mjs'
import { report } from './report.mjs'
import { startResponder } from './responder.mjs'

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '60' },
    rate: { type: 'string', default: '1000' },
    flood: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const [wanted, seconds, rate] = [values.connections, values.seconds, values.rate].map(Number)

if (values.help || ![wanted, seconds, rate].every(Number.isSafeInteger) || wanted < 50 || seconds < 4 || rate < 1) {
  console.log(`usage: npm run load -- [--connections N] [--seconds S] [--rate R] [--flood] [--json]

Keep-alive mTLS connections to one Express server with clientCert() and superviseServer(): valid clients among expired, revoked (CRL, OCSP,
deny list), unknown ones and some without a certificate. Trust rotates, CRLs and deny lists are reloaded, certificates end, a responder fails.
Every answer, and who it was for, is compared with what was right when it was given; where something was being reloaded, with what was right
before or after. One wrong answer makes the exit code 1.

  --connections N  at least 50, default 10000; fewer where the machine ends below, which is said
  --seconds S      at least 4, default 60, after all connections are open
  --rate R         requests a second over all of them, default 1000
  --flood          as long again while garbage certificates come in, and the 99th percentile of valid clients beside that of the quiet
  --json           figures as JSON`)
  process.exit(values.help ? 0 : 2)
}

const say = (text) => values.json || console.log(text)
/** Descriptors beside those of clients: files, pipes, the responder's connections, the flood's. */
const ownDescriptors = 300
const connectionsPerProcess = 2_500

/** Node raises its own limit to the hard one. */
function descriptors() {
  try {
    const limit = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim()
    return limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

const limit = descriptors()
const connections = Math.min(wanted, limit - ownDescriptors)
if (connections < wanted) {
  say(`A process may have ${limit} open files here (ulimit -Hn): ${connections} connections instead of ${wanted}.`)
}

const figures = {
  node: process.version,
  openssl: process.versions.openssl,
  machine: `${cpus()[0]?.model} × ${cpus().length}`,
  connections: { wanted, reached: 0, failures: {} },
  seconds,
  rate,
  requests: 0,
  wrong: 0,
  wrongs: [],
  verdicts: {},
  handshakes: { full: 0, resumed: 0, renewed: 0, closed: 0 },
  /** Milliseconds of every answer; of those to valid clients by phase. */
  latencies: { all: [], quiet: [], flood: [] },
  usage: [],
}

say(`Node ${process.version}, OpenSSL ${process.versions.openssl}, ${figures.machine}`)
const began = performance.now()
const population = await createPopulation(connections)
const { groups, authorities, pki, key } = population
const changes = createChanges(population)
const revokedByOcsp = groups.find(({ name }) => name === 'revoked by OCSP').credentials
const responder = await startResponder(authorities.ocsp, new Set(revokedByOcsp.map(({ serialNumber }) => serialNumber)))
say(
  `${groups.reduce((sum, { credentials }) => sum + credentials.length, 0)} certificates (P-256, one key for all) made in ${took(began)}`,
)

let phase = 'ramp'
let isOver = false
/** Answers that are not judged yet: what they were given under may still be changing. */
let unjudged = []

function judge(records, before) {
  const later = []
  for (const record of records) {
    const [index, verdict, sent, received, milliseconds, during] = record
    if (received >= before) {
      later.push(record)
      continue
    }
    const group = groups[index]
    figures.requests++
    figures.verdicts[group.name] ??= {}
    figures.verdicts[group.name][verdict] = (figures.verdicts[group.name][verdict] ?? 0) + 1
    if (during !== 'ramp' && verdict !== 'closed') {
      figures.latencies.all.push(milliseconds)
      if (group.name === 'valid') figures.latencies[during].push(milliseconds)
    }
    if (group.timeline.allows(verdict, sent, received)) continue
    figures.wrong++
    if (figures.wrongs.length < 20) {
      const right = group.timeline.describe(sent, received)
      figures.wrongs.push(
        `${new Date(sent).toISOString()} +${received - sent} ms, ${group.name}: ${verdict}, right: ${right}`,
      )
    }
  }
  return later
}
const judging = setInterval(() => {
  unjudged = judge(unjudged, Date.now() - 2_000)
}, 500)

// That Node 20 has bugs which do not matter here is said often enough.
const server = fork(new URL('./server.mjs', import.meta.url), {
  execArgv: ['--expose-gc', '--disable-warning=MTLS_NODE_VERSION'],
})
const processes = []
const unexpected = (name) => (code, signal) => {
  if (isOver) return
  console.error(`the ${name} process ended (${signal ?? code})`)
  process.exit(1)
}
server.on('exit', unexpected('server'))
const { start, reload, failNowAndThen, end, reloads } = changes
server.send({ ...(await start()), responder: responder.url, tls: (await pki.server()).tls })
const [{ port }] = await once(server, 'message')

const commands = new Map()
let commandId = 0
server.on('message', ({ type, id, error, result, ...rest }) => {
  if (type === 'usage') figures.usage.push({ at: (performance.now() - began) / 1_000, phase, ...rest })
  if (type !== 'done') return
  const command = commands.get(id)
  commands.delete(id)
  if (error === undefined) command?.resolve(result)
  else command?.reject(new Error(error))
})
/** Has the server do something; resolves when it is done. */
const tell = (type, details = {}) =>
  new Promise((resolve, reject) => {
    commands.set(++commandId, { resolve, reject })
    server.send({ id: commandId, type, ...details })
  })
await tell('usage')
const watching = setInterval(() => void tell('usage'), 1_000)

for (let from = 0; from < connections; from += connectionsPerProcess) {
  const child = fork(new URL('./clients.mjs', import.meta.url))
  child.on('exit', unexpected('client'))
  child.on('message', ({ type, records, open, failures, counts }) => {
    if (type === 'records') for (const record of records) unjudged.push([...record, phase])
    if (type === 'opened') child.emit('opened', { open, failures })
    if (type === 'stopped') {
      for (const [name, count] of Object.entries(counts)) figures.handshakes[name] += count
      child.emit('stopped')
    }
  })
  processes.push(child)
}

/** Hands connections to the client processes in turn; resolves when all are open, or are known not to be. */
async function open(list) {
  const opened = await Promise.all(
    processes.map(async (child, i) => {
      child.send({ type: 'open', port, key, connections: list.filter((_, n) => n % processes.length === i) })
      return (await once(child, 'opened'))[0]
    }),
  )
  figures.connections.reached = opened.reduce((sum, each) => sum + each.open, 0)
  figures.connections.failures = opened.map(({ failures }) => failures)
}

const ramping = performance.now()
await open(
  connectionsOf(
    groups.filter(({ late }) => !late),
    groups,
  ),
)
const ending = groups.find(({ late }) => late)
const notAfter = new Date(Math.ceil((Date.now() + (seconds * 1_000) / 2) / 1_000) * 1_000)
ending.credentials = await population.issue(ending, notAfter)
end(notAfter)
await open(connectionsOf([ending], groups))
figures.rampSeconds = (performance.now() - ramping) / 1_000
say(`${figures.connections.reached} connections open after ${took(ramping)}, in ${processes.length} client processes`)

figures.heap = { atStart: await tell('heap') }
phase = 'quiet'
for (const child of processes) child.send({ type: 'run', rate: rate / processes.length })
const changing = Promise.all([reload(tell, () => isOver), failNowAndThen(responder, () => isOver)])
changing.catch((error) => {
  console.error(error)
  process.exit(1)
})
await pause(seconds * 1_000)
if (values.flood) {
  const flood = fork(new URL('./flood.mjs', import.meta.url))
  const { certificate } = ending.credentials[0]
  flood.send({ port, key, certificate: Buffer.from(certificate.der).toString('base64') })
  await once(flood, 'message')
  phase = 'flood'
  await pause(seconds * 1_000)
  flood.send('count')
  ;[figures.flood] = await once(flood, 'message')
  figures.wrong += figures.flood.admitted
  flood.kill()
}
isOver = true
await Promise.all(
  processes.map((child) => {
    child.send({ type: 'stop' })
    return once(child, 'stopped')
  }),
)
await changing
clearInterval(judging)
clearInterval(watching)
figures.heap.atEnd = await tell('heap')
await tell('usage')
judge(unjudged, Number.POSITIVE_INFINITY)
for (const child of processes) child.disconnect()
server.disconnect()
responder.close()

figures.reloads = reloads
figures.responder = { answers: responder.answers, failures: responder.failures }
report(figures, values.json)
process.exitCode = figures.wrong > 0 || figures.requests === 0 ? 1 : 0

function took(from) {
  return `${((performance.now() - from) / 1_000).toFixed(1)} s`
}

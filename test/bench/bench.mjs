#!/usr/bin/env node
// Measures the built package: `npm run bench -- path`. See --help.
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { measure } from './harness.mjs'

const suites = {
  path: () => import('./path.mjs'),
  ocsp: () => import('./ocsp.mjs'),
  revocation: () => import('./revocation.mjs'),
  header: () => import('./header.mjs'),
  request: () => import('./request.mjs'),
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
const isSuite = (name) => Object.hasOwn(suites, name)
const names = positionals.length === 0 ? Object.keys(suites) : positionals

const isWrong = (rounds !== undefined && !(Number.isSafeInteger(rounds) && rounds >= 1)) || !names.every(isSuite)

if (values.help || isWrong) {
  console.log(`usage: npm run bench -- [${Object.keys(suites).join('|')}]… [--rounds N] [--only TEXT]

Every operation runs once per round, so that what else the machine does falls on all of them alike. Times are the
shortest of all rounds, in microseconds; ratios are ours to the floor in the same run: of the shortest, and the median
of the rounds. Compare ratios, never times. A target is marked and never fails the run.

Servers run in processes of their own; what they cost is the middle of paired rounds, with its 95 % interval. A second
no-op beside the first shows what is noise.

  --rounds N   default 21; 61 where servers are compared
  --only TEXT  tables whose title contains it`)
  process.exit(values.help ? 0 : 2)
}

console.log(`Node ${process.version}, OpenSSL ${process.versions.openssl}, ${cpus()[0]?.model} × ${cpus().length}`)
const started = performance.now()
for (const name of names) {
  const { tables } = await suites[name]()
  for (const { title, rounds: most, rows, run, collect } of tables) {
    if (values.only !== undefined && !title.toLowerCase().includes(values.only.toLowerCase())) continue
    if (run !== undefined) await run(rounds)
    else await measure(title, await rows(), Math.min(rounds ?? 21, most ?? Number.POSITIVE_INFINITY), collect)
  }
}
console.log(`\n${((performance.now() - started) / 1000).toFixed(0)} s`)

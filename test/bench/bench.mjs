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
    rounds: { type: 'string', default: '21' },
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
const names = positionals.length === 0 ? Object.keys(suites) : positionals

if (values.help || !Number.isSafeInteger(rounds) || rounds < 1 || names.some((name) => !Object.hasOwn(suites, name))) {
  console.log(`usage: npm run bench -- [${Object.keys(suites).join('|')}]… [--rounds N] [--only TEXT]

Every operation runs once per round, so that what else the machine does falls on all of them alike. Times are the
shortest of all rounds, in microseconds; ratios are ours to the floor in the same run: of the shortest, and the median
of the rounds. Compare ratios, never times. A target is marked and never fails the run.

  --rounds N   default 21
  --only TEXT  tables whose title contains it`)
  process.exit(values.help ? 0 : 2)
}

console.log(`Node ${process.version}, OpenSSL ${process.versions.openssl}, ${cpus()[0]?.model} × ${cpus().length}`)
const started = performance.now()
for (const name of names) {
  const { tables, after } = await suites[name]()
  for (const { title, rounds: most = rounds, rows, collect } of tables) {
    if (values.only !== undefined && !title.toLowerCase().includes(values.only.toLowerCase())) continue
    await measure(title, await rows(), Math.min(rounds, most), collect)
  }
  if (values.only === undefined) await after?.()
}
console.log(`\n${((performance.now() - started) / 1000).toFixed(0)} s`)

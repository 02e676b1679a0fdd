#!/usr/bin/env node
// Runs public path-validation suites against the built package. It exits with 1 on any false accept, on any failure that deviations.json does not
// explain, and on any deviation that passes. See --help.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { isClientCertError, validateCertificationPath } from 'mtls-identity/path'
import { load, suites } from './suites.mjs'

const { values: options } = parseArgs({
  options: {
    suite: { type: 'string', default: 'all' },
    data: { type: 'string', default: join(import.meta.dirname, '../../../shared/conformance') },
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

if (options.help) {
  console.log(
    `usage: npm run conformance -- [--suite ${Object.keys(suites).join('|')}|all] [--data DIR] [--only ID] [--json]`,
  )
  process.exit(0)
}

const names = options.suite === 'all' ? Object.keys(suites) : [options.suite]
if (names.some((name) => !Object.hasOwn(suites, name))) {
  console.error(`unknown suite "${options.suite}": ${Object.keys(suites).join(', ')} or all`)
  process.exit(2)
}
const deviations = JSON.parse(readFileSync(join(import.meta.dirname, 'deviations.json'), 'utf8'))

const reports = []
for (const name of names) {
  if (existsSync(join(options.data, `${name}.json.gz`))) reports.push(await runSuite(name))
  else console.error(`${name}: no ${name}.json.gz in ${options.data}`)
}
print(reports)
// Nothing that was run is nothing that passed.
const ran = reports.some((report) => totalOf(report) > 0)
if (!ran) console.error(options.only === undefined ? 'no case was found' : `no case "${options.only}" was found`)
process.exit(!ran || reports.some((report) => report.failures.length > 0) ? 1 : 0)

async function runSuite(name) {
  const report = { suite: name, pass: 0, either: 0, deviations: [], failures: [], falseAccepts: 0 }
  for (const test of load(options.data, name)) {
    if (options.only !== undefined && test.id !== options.only) continue
    if (test.notRun !== undefined)
      report.failures.push({ id: test.id, problem: `not run, not known here: ${test.notRun}` })
    else judge(report, name, test, await run(test))
  }
  return report
}

async function run(test) {
  const start = performance.now()
  try {
    const input = test.pem === undefined ? test.input : { ...test.input, certificate: onlyCertificate(test.pem) }
    const result = await validateCertificationPath(input)
    return { ...result, millis: performance.now() - start }
  } catch (error) {
    if (isClientCertError(error) || error instanceof SyntaxError)
      return { valid: false, error, millis: performance.now() - start }
    return { crashed: error, millis: performance.now() - start }
  }
}

/** RFC 7468 as strictly as a trust file is read; a peer never sends PEM without a header around it. */
function onlyCertificate(pem) {
  const match = /^-----BEGIN CERTIFICATE-----\r?\n((?:[A-Za-z0-9+/=]+\r?\n)+)-----END CERTIFICATE-----\r?\n?$/.exec(pem)
  const der = match === null ? undefined : Buffer.from(match[1], 'base64')
  if (der?.toString('base64') !== match?.[1].replace(/\r?\n/g, '')) throw new SyntaxError('not PEM')
  return new Uint8Array(der)
}

function judge(report, suite, test, outcome) {
  const failure = problemOf(test, outcome)
  const listed = deviations[suite]?.[test.id]
  // What a runtime lacks it may have by another name: then there is nothing to explain.
  const reason = listed ?? (test.valid && failure !== undefined ? test.lacks : undefined)
  if (failure === undefined && reason === undefined) {
    if (test.valid === undefined) report.either++
    else report.pass++
  } else if (failure === undefined) {
    report.failures.push({ id: test.id, problem: 'passes, although deviations.json says it does not' })
  } else {
    const falseAccept = failure === 'false accept'
    if (falseAccept) report.falseAccepts++
    if (reason !== undefined && !falseAccept) report.deviations.push({ id: test.id, reason })
    else report.failures.push({ id: test.id, problem: failure })
  }
}

function problemOf(test, { valid, error, policies, crashed, millis }) {
  if (crashed !== undefined) return `crashed: ${crashed.stack}`
  if (test.maxMillis !== undefined && millis > test.maxMillis)
    return `took ${millis.toFixed(0)} ms, limit ${test.maxMillis}`
  if (test.valid === undefined) return undefined
  if (valid && !test.valid) return 'false accept'
  if (!valid && test.valid) return `false reject: ${error.code} ${error.help}`
  if (valid && test.policies != null && !sameSet(policies, test.policies)) {
    return `policies are {${policies.join(', ')}}, expected {${test.policies.join(', ')}}`
  }
  return undefined
}

function sameSet(a, b) {
  return a.length === b.length && a.every((item) => b.includes(item))
}

function totalOf({ pass, either, deviations: known, failures }) {
  return pass + either + known.length + failures.length
}

function print(reports) {
  if (options.json) {
    console.log(JSON.stringify(reports, null, 2))
    return
  }
  for (const report of reports) {
    const { suite, pass, either, deviations: known, failures, falseAccepts } = report
    console.log(
      `${suite.padEnd(10)} ${totalOf(report)} cases: ${pass} pass, ${either} either, ${known.length} deviations, ${failures.length} failures, ${falseAccepts} false accepts`,
    )
    for (const { id, reason } of known) console.log(`  deviation  ${id}: ${reason}`)
    for (const { id, problem } of failures) console.log(`  FAILURE    ${id}: ${problem}`)
  }
}

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { isClientCertError } from '../../src/errors.js'
import { type PathInput, validateCertificationPath } from '../../src/path.js'
import { parsePem } from '../../src/x509/pem.js'
import { pureKey } from '../support/path-forge.js'

/**
 * What `npm run conformance` runs against the built package, against the sources: no failure that deviations.json does not explain, and no
 * deviation that is none. The data is no part of this repository; without it the suites are skipped.
 */
const data = process.env.MTLS_CONFORMANCE_DATA ?? join(import.meta.dirname, '../../../shared/conformance')

interface Case {
  readonly id: string
  /** undefined: either. */
  readonly valid: boolean | undefined
  readonly input: PathInput
  /** In place of `input.certificate`. */
  readonly pem?: string
  readonly policies?: readonly string[] | null
  readonly maxMillis?: number
  /** What of it is not understood, in place of everything else. */
  readonly notRun?: string
  /** Why this runtime cannot find it valid. */
  readonly lacks?: string
}

interface Suites {
  readonly suites: Readonly<Record<string, unknown>>
  load(directory: string, name: string): Case[]
}

// By a variable: the compiler has no types for it, and needs none.
const module: string = './suites.mjs'
const { suites, load }: Suites = await import(module)
const deviations: Record<string, Record<string, string>> = JSON.parse(
  readFileSync(join(import.meta.dirname, 'deviations.json'), 'utf8'),
)

/** How many cases each suite has at least, so that an empty one does not pass. */
const expected: Readonly<Record<string, number>> = { pkits: 100, limbo: 40, bettertls: 700, hostile: 150 }

/** What is wrong with our answer; undefined where nothing is. */
async function problemOf({ valid, input, pem, policies, maxMillis, notRun }: Case): Promise<string | undefined> {
  if (notRun !== undefined) return `not run, not known here: ${notRun}`
  const started = performance.now()
  const result = await answerOf(pem, input)
  const milliseconds = performance.now() - started
  if (maxMillis !== undefined && milliseconds > Math.max(maxMillis, 1_000)) return `took ${milliseconds.toFixed(0)} ms`
  if (valid === undefined) return undefined
  if (result.valid !== valid) {
    return result.valid ? 'false accept' : `false reject: ${result.error.code} ${result.error.help}`
  }
  const [found, wanted] = [result.valid ? [...result.policies].sort() : [], [...(policies ?? [])].sort()]
  return result.valid && policies != null && found.join() !== wanted.join() ? `policies: ${found}` : undefined
}

type Answer =
  | Awaited<ReturnType<typeof validateCertificationPath>>
  | { valid: false; error: { code: string; help: string } }

async function answerOf(pem: string | undefined, input: PathInput): Promise<Answer> {
  try {
    const blocks = pem === undefined ? undefined : parsePem(pem)
    if (blocks !== undefined && (blocks.length !== 1 || blocks[0]?.label !== 'CERTIFICATE'))
      throw new SyntaxError('not one')
    return await validateCertificationPath({ ...input, certificate: blocks?.[0]?.bytes ?? input.certificate })
  } catch (error) {
    // Everything but a refusal is a crash, and fails the test.
    if (isClientCertError(error)) return { valid: false, error }
    if (error instanceof Error && ['PemError', 'SyntaxError'].includes(error.name)) {
      return { valid: false, error: { code: error.name, help: error.message } }
    }
    throw error
  }
}

describe('conformance suites', () => {
  for (const name of Object.keys(suites)) {
    const run = existsSync(join(data, `${name}.json.gz`)) ? test : test.skip
    run(
      `${name}: every case has its verdict, or a deviation says why not`,
      async () => {
        const cases = load(data, name)
        expect(cases.length).toBeGreaterThan(expected[name] as number)
        const unexplained: string[] = []
        const explained: string[] = []
        for (const item of cases) {
          const problem = await problemOf(item)
          const isLacking = item.valid === true && item.lacks !== undefined
          if (problem?.startsWith('false reject') && isLacking) continue
          const isKnown = deviations[name]?.[item.id] !== undefined
          if (problem !== undefined && isKnown && problem !== 'false accept') explained.push(item.id)
          else if (problem !== undefined) unexplained.push(`${item.id}: ${problem}`)
        }
        expect(unexplained).toEqual([])
        // The data may be a part of the suite; what is in it and listed has to deviate.
        const present = new Set(cases.map(({ id }) => id))
        const listed = Object.keys(deviations[name] ?? {}).filter((id) => present.has(id))
        expect(explained.sort()).toEqual(listed.sort())
      },
      60_000,
    )
  }

  test('deviations.json speaks of suites that exist, and gives each its reason', () => {
    for (const [suite, reasons] of Object.entries(deviations)) {
      expect(Object.keys(suites)).toContain(suite)
      for (const reason of Object.values(reasons)) expect(reason.length).toBeGreaterThan(20)
    }
  })

  const block = '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n'
  const refused = {
    id: 'a',
    features: [],
    validation_kind: 'SERVER',
    trusted_certs: [block],
    untrusted_intermediates: [],
    peer_certificate: block,
    validation_time: null,
    signature_algorithms: [],
    key_usage: [],
    extended_key_usage: [],
    expected_result: 'FAILURE',
    max_chain_depth: null,
    crls: [],
  }
  const readLimbo = (testcase: object): Case =>
    (suites.limbo as (data: object) => Case[])({ version: 1, testcases: [{ ...refused, ...testcase }] })[0] as Case

  test.each<[what: string, given: object]>([
    ['a field that says something', { ocsp_responses: ['x'] }],
    ['a result', { expected_result: 'UNDECIDED' }],
    ['a kind', { validation_kind: 'PEER' }],
    ['a purpose', { extended_key_usage: ['tea'] }],
    ['two purposes', { extended_key_usage: ['serverAuth', 'clientAuth'] }],
    ['algorithms', { signature_algorithms: ['RSA_WITH_MD5'] }],
    ['key usage', { key_usage: ['keyAgreement'] }],
    ['a time', { validation_time: 'soon' }],
    ['what is no PEM', { peer_certificate: 'MAA=' }],
    ['a depth that is missing', { features: ['max-chain-depth'] }],
    ['CRLs that are missing', { features: ['has-crl'] }],
  ])('limbo: %s that is not known here is no pass by a refusal', async (_, given) => {
    expect(await problemOf(readLimbo(given))).toMatch(/^not run, not known here: /)
  })

  test('limbo: what is known is run: its purpose, its depth, its CRLs, and an unknown field that says nothing', async () => {
    expect(await problemOf(readLimbo({}))).toBeUndefined()
    expect(await problemOf(readLimbo({ ocsp_responses: [], features: ['has-crystal'] }))).toBeUndefined()
    const lacks = (features: string[]) => readLimbo({ features, expected_result: 'SUCCESS' }).lacks !== undefined
    expect([lacks(['has-mldsa']), lacks([])]).toEqual([pureKey('ml-dsa-44') === undefined, false])
    const { input } = readLimbo({ max_chain_depth: 3, crls: [block], validation_kind: 'CLIENT' })
    expect(input).toMatchObject({ crls: [{}], profile: { maxIntermediates: 3, extendedKeyUsage: '1.3.6.1.5.5.7.3.2' } })
    const named = readLimbo({ extended_key_usage: ['emailProtection'] })
    expect(named.input.profile).toMatchObject({ extendedKeyUsage: '1.3.6.1.5.5.7.3.4' })
    expect(readLimbo({}).input.profile).toMatchObject({ extendedKeyUsage: '1.3.6.1.5.5.7.3.1' })
    expect(readLimbo({}).input).not.toHaveProperty('crls')
  })
})

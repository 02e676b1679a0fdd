import { describe, expect, test } from '@jest/globals'
import { validateCertificationPath } from '../../src/path.js'
import { Certificate } from '../../src/x509/certificate.js'
import { type CrlCase, crlCase } from '../support/crl-cases.js'
import { noon } from '../support/path-forge.js'
import { opensslVerify, opensslVersion } from '../support/path-openssl.js'

/**
 * What we accept, the real `openssl verify -crl_check_all -extended_crl -use_deltas` has to accept too. Every acceptance of ours that it refuses needs
 * a row in the table below. MTLS_CRL_DIFFERENTIAL=20000 cases, from MTLS_CRL_DIFFERENTIAL_SEED on; without it 600.
 */
const whole = process.env.MTLS_CRL_DIFFERENTIAL
const cases = Number(whole ?? 600)
const firstSeed = Number(process.env.MTLS_CRL_DIFFERENTIAL_SEED ?? 1)
const batch = 200

const explanations: readonly { line: RegExp; why: string; applies(leaf: Certificate, story: string): boolean }[] = [
  {
    line: /^different CRL scope$/,
    why: 'a distribution point for some reasons only: RFC 5280 §6.3.3 asks the CA’s own CRLs once more for those that are left, OpenSSL does not',
    applies: ({ extensions: { cRLDistributionPoints = [] } }) =>
      cRLDistributionPoints.some(({ reasons }) => reasons !== undefined),
  },
  {
    line: /^CRL signature failure$/,
    why: 'a forged CRL is the newest by what it says: OpenSSL takes it and fails, we pass it over for the one that is signed',
    applies: (_, story) => story.includes('a forged CRL'),
  },
]

type Verdict = 'accepted' | 'revoked' | 'unknown' | 'refused'

async function ours({ leaf, via, anchors, crls }: CrlCase): Promise<Verdict> {
  const result = await validateCertificationPath({
    certificate: leaf,
    intermediates: via,
    trustAnchors: anchors,
    at: noon,
    crls,
  })
  if (result.valid) return 'accepted'
  const { code } = result.error
  return code === 'ERR_CLIENT_CERT_REVOKED'
    ? 'revoked'
    : code === 'ERR_CLIENT_CERT_REVOCATION_UNKNOWN'
      ? 'unknown'
      : 'refused'
}

interface Tally {
  accepted: number
  revoked: number
  unknown: number
  refused: number
  confirmed: number
  /** What OpenSSL accepts and we do not. */
  stricter: number
  readonly explained: Map<string, number>
  readonly unexplained: string[]
}

function judge(tally: Tally, given: CrlCase, verdict: Verdict, finding: string): void {
  tally[verdict]++
  if (verdict !== 'accepted') {
    if (finding === 'OK') tally.stricter++
    return
  }
  if (finding === 'OK') {
    tally.confirmed++
    return
  }
  const leaf = Certificate.parse(given.leaf)
  for (const line of finding.split('; ')) {
    const row = explanations.find((each) => each.line.test(line) && each.applies(leaf, given.story))
    if (row === undefined) tally.unexplained.push(`${line} — ${given.seed}: ${given.story}`)
    else tally.explained.set(row.why, (tally.explained.get(row.why) ?? 0) + 1)
  }
}

async function compare(): Promise<Tally> {
  const counts = { accepted: 0, revoked: 0, unknown: 0, refused: 0, confirmed: 0, stricter: 0 }
  const tally: Tally = { ...counts, explained: new Map(), unexplained: [] }
  const end = firstSeed + cases
  for (let seed = firstSeed; seed < end; seed += batch) {
    const made = Array.from({ length: Math.min(batch, end - seed) }, (_, i) => crlCase(seed + i))
    const findings = await opensslVerify(made, noon, ['-crl_check_all', '-extended_crl', '-use_deltas'])
    for (const [i, given] of made.entries()) judge(tally, given, await ours(given), findings[i] as string)
  }
  return tally
}

describe('against openssl verify', () => {
  test(`what we accept of ${cases} cases with CRLs, it accepts`, async () => {
    const tally = await compare()
    const { explained, unexplained, ...numbers } = tally
    if (whole !== undefined) console.log(await opensslVersion(), numbers, Object.fromEntries(explained))
    expect(unexplained).toEqual([])
    // A generator whose every case is refused, or accepted, compares nothing.
    expect(tally.confirmed).toBeGreaterThan(cases * 0.12)
    expect(tally.revoked).toBeGreaterThan(cases * 0.05)
    expect(tally.unknown).toBeGreaterThan(cases * 0.15)
  }, 3_600_000)

  test('a case is what its seed says', () => {
    expect(crlCase(7).story).toBe(crlCase(7).story)
    expect(crlCase(7).crls.length).toBe(crlCase(7).crls.length)
    expect(new Set([1, 2, 3, 4, 5].map((seed) => crlCase(seed).story)).size).toBeGreaterThan(2)
  })
})

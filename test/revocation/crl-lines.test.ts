import { writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { crl } from '../../src/revocation/crl-checker.js'
import type { CrlOptions } from '../../src/revocation/crl-options.js'
import { createTestAuthority, type TestAuthority, type TestCredential, type TestCrl } from '../../src/testing.js'
import { day, fromNoon, hour, minute, noon, present, temporaryFolder } from '../support/pki.js'

/** What an operator reads when CRLs refuse, by crl() and an authenticator's log; and that the fix it names works. */
const at = temporaryFolder()
let root: TestAuthority
let issuing: TestAuthority
let alice: TestCredential

beforeAll(async () => {
  root = await createTestAuthority({ now: noon, subject: 'CN=Corp Root' })
  issuing = await root.issueAuthority({ subject: 'CN=Issuing 2' })
  alice = await issuing.issue()
  write('root.crl', await root.crl())
  write('issuing.crl', await issuing.crl())
})

function write(name: string, { pem }: Pick<TestCrl, 'pem'>): string {
  writeFileSync(at(name), pem)
  return at(name)
}

async function by(options: CrlOptions) {
  const revocation = crl({ watch: false, now: () => noon.getTime(), ...options })
  try {
    const { decision, lines, line } = await present(alice, { trust: root.certificate.pem, revocation })
    if (decision.outcome === 'accepted') return { line: 'accepted', status: 200 }
    expect(lines.length).toBe(1)
    expect(decision.error.message).not.toMatch(/CRL|Corp|Issuing/)
    return { line: line.replaceAll(at(), '.'), status: decision.error.status }
  } finally {
    revocation.close?.()
  }
}
const lineBy = async (options: CrlOptions) => (await by(options)).line

describe('broken set-ups', () => {
  test('row 28: a CRL is needed for every CA in the path, also the root’s', async () => {
    const only = { files: at('issuing.crl') }
    expect(await by(only)).toEqual({
      status: 503,
      line: 'mtls-identity ERR_CLIENT_CERT_REVOCATION_UNKNOWN: no CRL of "CN=Corp Root" for intermediate "CN=Issuing 2" — add the CRL of "CN=Corp Root", or crl({ leafOnly: true })',
    })
    expect(await lineBy({ files: [at('issuing.crl'), at('root.crl')] })).toBe('accepted')
    expect(await lineBy({ ...only, leafOnly: true })).toBe('accepted')
    expect(await lineBy({ files: at('root.crl') })).toBe(
      'mtls-identity ERR_CLIENT_CERT_REVOCATION_UNKNOWN: no CRL of "CN=Issuing 2" for client "CN=alice" — add the CRL of "CN=Issuing 2"',
    )
  })

  test('row 29: the job that copies the CRL stopped', async () => {
    const ended = await issuing.crl({ thisUpdate: fromNoon(-8 * day), nextUpdate: fromNoon(-3 * hour) })
    const files = [write('ended.crl', ended), at('root.crl')]
    expect(await by({ files })).toEqual({
      status: 503,
      line: 'mtls-identity ERR_CLIENT_CERT_REVOCATION_UNKNOWN: CRL of "CN=Issuing 2" ended 3 h ago (2026-11-20T09:00:00Z, ./ended.crl) — fix the job that renews it',
    })
    write('ended.crl', await issuing.crl())
    expect(await lineBy({ files })).toBe('accepted')
  })

  test('the clocks of the CA and of the server differ by five minutes at most', async () => {
    const early = async (milliseconds: number) =>
      lineBy({ files: [write('early.crl', await issuing.crl({ thisUpdate: fromNoon(milliseconds) })), at('root.crl')] })
    expect(await early(5 * minute)).toBe('accepted')
    expect(await early(5 * minute + 1000)).toBe(
      'mtls-identity ERR_CLIENT_CERT_REVOCATION_UNKNOWN: CRL of "CN=Issuing 2" begins in 5 min 1 s by this server\'s clock (2026-11-20T12:05:01Z, ./early.crl) — check NTP here and the clock of the CA',
    )
  })

  test('maxAge is in seconds', async () => {
    const files = [write('aged.crl', await issuing.crl({ thisUpdate: fromNoon(-2 * hour) })), at('root.crl')]
    expect(await lineBy({ files, maxAge: 7200 })).toBe('accepted')
    expect(await lineBy({ files, maxAge: 7199 })).toBe(
      'mtls-identity ERR_CLIENT_CERT_REVOCATION_UNKNOWN: CRL of "CN=Issuing 2" ended 1 s ago (2026-11-20T11:59:59Z, ./aged.crl) — fix the job that renews it',
    )
  })
})

describe('ready()', () => {
  const isReady = async (...crls: Pick<TestCrl, 'pem'>[]) => {
    const revocation = crl({
      files: crls.map((each, i) => write(`${i}.crl`, each)),
      watch: false,
      now: () => noon.getTime(),
    })
    try {
      await revocation.ready?.()
      return 'ready'
    } catch (error) {
      return (error as Error).message.replaceAll(at(), '.')
    } finally {
      revocation.close?.()
    }
  }
  const over = { nextUpdate: fromNoon(-hour) }

  test('an ended CRL is not, unless a newer one of its kind is there', async () => {
    const ended = await issuing.crl({ ...over, number: 1, thisUpdate: fromNoon(-day) })
    const message =
      'crl: CRL of "CN=Issuing 2" (./0.crl) has ended, its nextUpdate is 2026-11-20T11:00:00Z — fix the job that renews it: its clients get 503'
    expect(await isReady(await issuing.crl())).toBe('ready')
    expect(await isReady(ended)).toBe(message)
    expect(await isReady(ended, await root.crl())).toBe(message)
    expect(await isReady(ended, await issuing.crl({ number: 2 }))).toBe('ready')
    expect(await isReady(ended, await issuing.crl({ number: 2, baseNumber: 1 }))).toBe(message)
    expect(
      await isReady(ended, await issuing.crl({ number: 2, issuingDistributionPoint: { onlyContainsUserCerts: true } })),
    ).toBe(message)
  })

  test('an ended delta CRL needs none where the complete CRL is newer', async () => {
    const delta = await issuing.crl({ ...over, number: 2, baseNumber: 1, thisUpdate: fromNoon(-day) })
    expect(await isReady(delta, await issuing.crl({ number: 3 }))).toBe('ready')
    expect(await isReady(delta, await issuing.crl({ number: 1, thisUpdate: fromNoon(-2 * day) }))).toMatch(/has ended/)
  })
})

test('who is revoked is told since when and why, with 403', async () => {
  const revoked = [{ serialNumber: alice, reason: 'keyCompromise' as const, date: fromNoon(-day) }]
  const files = [write('revoking.crl', await issuing.crl({ revoked })), at('root.crl')]
  expect(await by({ files })).toEqual({
    status: 403,
    line: 'mtls-identity ERR_CLIENT_CERT_REVOKED: "CN=alice" was revoked 2026-11-19T12:00:00Z ("keyCompromise") — issue a new certificate with a new key',
  })
})

test('L10: two files of the same second, one of which lists her, in either order', async () => {
  const [omits, lists] = [
    write('omits.crl', await issuing.crl()),
    write('lists.crl', await issuing.crl({ revoked: [{ serialNumber: alice }] })),
  ]
  for (const files of [
    [omits, lists, at('root.crl')],
    [at('root.crl'), lists, omits],
  ]) {
    expect((await by({ files })).status).toBe(403)
  }
  expect(await lineBy({ files: [omits, at('root.crl')] })).toBe('accepted')
})

import { readFileSync, writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Decision } from '../../src/core/decision.js'
import { crl } from '../../src/revocation/crl-checker.js'
import type { CrlOptions } from '../../src/revocation/crl-options.js'
import { denyList } from '../../src/revocation/deny-list.js'
import { firstDefinite } from '../../src/revocation/first-definite.js'
import {
  createTestAuthority,
  createTestPki,
  type TestAuthority,
  type TestCredential,
  type TestCrlOptions,
  type TestPki,
} from '../../src/testing.js'
import { day, fromNoon, hour, minute, noon, temporaryFolder } from '../support/pki.js'
import { closing, deciding, heardEvents, heardWarnings, until } from '../support/revocation.js'

const at = temporaryFolder()
const warnings = heardWarnings()
const events = heardEvents()
let pki: TestPki
let alice: TestCredential
let bob: TestCredential
let files = 0

beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue({ subject: 'CN=alice', notAfter: fromNoon(60 * day) })
  bob = await pki.issue({ subject: 'CN=bob', notAfter: fromNoon(60 * day) })
})

function file(content: string | Uint8Array): string {
  const path = at(`${files++}.crl`)
  writeFileSync(path, content)
  return path
}
const revoking = (...serialNumbers: TestCredential[]) => ({
  revoked: serialNumbers.map((serialNumber) => ({ serialNumber })),
})
async function fileOf(issuing: TestCrlOptions = {}, root: TestCrlOptions = {}) {
  return file((await pki.crl(issuing)).pem + (await pki.root.crl(root)).pem)
}
const made = (options: CrlOptions) => closing(crl({ watch: false, now: () => noon.getTime(), ...options }))
const validUntil = (decision: Decision) => decision.outcome === 'accepted' && decision.validUntil.toISOString()
/** Warnings at start are given when what is loaded first has been. */
const start = () => new Promise((resolve) => setImmediate(resolve))

describe('a decision by CRLs', () => {
  test('holds until the earliest nextUpdate of the path, and not a millisecond longer', async () => {
    const path = await fileOf({ nextUpdate: fromNoon(3 * hour) }, { nextUpdate: fromNoon(2 * hour) })
    const { decide, verdict, clock } = deciding({ trust: pki.trust, revocation: made({ files: path }) })
    expect(validUntil(await decide(alice))).toBe(fromNoon(2 * hour).toISOString())
    clock.now += 2 * hour
    expect(await verdict(alice)).toBe('accepted')
    clock.now += 1
    expect(await verdict(alice)).toBe('REVOCATION_UNKNOWN')
  })

  test('holds until maxAge, where that is earlier, and where there is no nextUpdate', async () => {
    const thisUpdate = fromNoon(-hour)
    const path = await fileOf({ thisUpdate, nextUpdate: fromNoon(3 * hour) }, { thisUpdate, nextUpdate: false })
    const { decide, verdict, clock } = deciding({
      trust: pki.trust,
      revocation: made({ files: path, maxAge: 2 * 3_600 }),
    })
    expect(validUntil(await decide(alice))).toBe(fromNoon(hour).toISOString())
    clock.now += hour + 1
    expect(await verdict(alice)).toBe('REVOCATION_UNKNOWN')
    const { help } = deciding({ trust: pki.trust, revocation: made({ files: path }) })
    expect(await help(alice)).toMatch(/^CRL of "CN=Test Root CA" \(.*\) has no nextUpdate — have the CA write one, or/)
  })

  test('R-12: where a rule takes so long that the CRL ends meanwhile, it is made anew', async () => {
    const path = await fileOf({ nextUpdate: fromNoon(hour) })
    const clock = { now: noon.getTime() }
    const slow = async () => {
      clock.now += hour + 1
      return 'partner'
    }
    const { verdict } = deciding({ trust: pki.trust, revocation: made({ files: path }), resolve: slow as never }, clock)
    expect(await verdict(alice)).toBe('REVOCATION_UNKNOWN')
  })

  test('row 28: a CRL of every CA of the path is needed, and the sentence says which is missing; leafOnly does without', async () => {
    const path = file((await pki.crl(revoking(bob))).pem)
    const whole = deciding({ trust: pki.trust, revocation: made({ files: path }) })
    expect(await whole.help(alice)).toBe(
      'no CRL of "CN=Test Root CA" for intermediate "CN=Test Intermediate CA" — add the CRL of "CN=Test Root CA", or crl({ leafOnly: true })',
    )
    expect(await whole.verdict(bob)).toBe('REVOKED')
    const leaf = deciding({ trust: pki.trust, revocation: made({ files: path, leafOnly: true }) })
    expect([await leaf.verdict(alice), await leaf.verdict(bob)]).toEqual(['accepted', 'REVOKED'])
  })

  test('leafOnly means the same within combinators', async () => {
    const path = file((await pki.crl(revoking(bob))).pem)
    const revocation = firstDefinite(denyList({ entries: [] }), made({ files: path, leafOnly: true }))
    const { verdict } = deciding({ trust: pki.trust, revocation })
    expect([await verdict(alice), await verdict(bob)]).toEqual(['accepted', 'REVOKED'])
    const both = firstDefinite(made({ files: path, leafOnly: true }), made({ files: path }))
    expect(await deciding({ trust: pki.trust, revocation: both }).verdict(alice)).toBe('REVOCATION_UNKNOWN')
  })

  test('row 29: a CRL that has ended, and when, and where it is', async () => {
    const path = await fileOf({ thisUpdate: fromNoon(-day), nextUpdate: fromNoon(-3 * hour) })
    const { help } = deciding({ trust: pki.trust, revocation: made({ files: path }) })
    expect(await help(alice)).toBe(
      `CRL of "CN=Test Intermediate CA" ended 3 h ago (2026-11-20T09:00:00Z, ${path}) — fix the job that renews it`,
    )
  })

  test('a revoked intermediate refuses everybody below it', async () => {
    const path = await fileOf({}, { revoked: [{ serialNumber: pki.intermediate, reason: 'cACompromise' }] })
    const { decide } = deciding({ trust: pki.trust, revocation: made({ files: path }) })
    const decision = await decide(alice)
    expect(decision.outcome === 'refused' && [decision.error.code, decision.error.depth, decision.error.help]).toEqual([
      'ERR_CLIENT_CERT_REVOKED',
      1,
      '"CN=Test Intermediate CA" was revoked 2026-11-20T11:00:00Z ("cACompromise") — issue a new certificate with a new key',
    ])
  })
})

describe('a large CRL', () => {
  const many = Array.from({ length: 3_000 }, (_, i) => ({ serialNumber: `5${String(i).padStart(31, '0')}` }))

  test('is read in the background; who asks meanwhile waits for it, and is not admitted without it', async () => {
    const path = await fileOf({ revoked: [...many, { serialNumber: bob }] })
    const checker = made({ files: path })
    const { verdict } = deciding({ trust: pki.trust, revocation: checker })
    expect(checker.generation).toBe(0)
    expect(await Promise.all([verdict(alice), verdict(bob), checker.ready()])).toEqual([
      'accepted',
      'REVOKED',
      undefined,
    ])
    expect(checker.generation).toBe(1)
    expect(events).toEqual([expect.objectContaining({ type: 'crl-loaded', where: path })])
  })

  test('with a malformed entry far behind: nobody is admitted, ready() and the refusal say why', async () => {
    const { der } = await pki.crl({ revoked: many })
    const damaged = Buffer.from(der)
    damaged[damaged.lastIndexOf(Buffer.from(`0210${many.at(-1)?.serialNumber}`, 'hex'))] = 1
    const path = file(damaged)
    const checker = made({ files: path })
    const { help, verdict } = deciding({ trust: pki.trust, revocation: checker })
    expect(await verdict(alice)).toBe('REVOCATION_UNKNOWN')
    await expect(checker.ready()).rejects.toThrow(/an entry is not what RFC 5280 §5\.1 says/)
    expect(await help(alice)).toMatch(
      /^no CRL of "CN=Test Intermediate CA" for client "CN=alice"; crl: .* an entry is not what .* at octet \d+ — fetch the CRL again, whole$/,
    )
    expect(warnings.filter((text) => text.startsWith('MTLS_CRL_FAILED')).length).toBe(1)
  })

  test('that replaces another is read while the other holds, and nobody waits for that', async () => {
    const path = await fileOf({ revoked: many, thisUpdate: fromNoon(-2 * hour) })
    const checker = closing(crl({ files: path, now: () => noon.getTime() }))
    const { verdict } = deciding({ trust: pki.trust, revocation: checker })
    expect(await verdict(alice)).toBe('accepted')
    const newer = await fileOf({ revoked: [...many, { serialNumber: alice }] })
    writeFileSync(path, readFileSync(newer))
    // The watch looks every two seconds.
    await until(async () => (await verdict(alice)) === 'REVOKED')
    expect(await verdict(bob)).toBe('accepted')
  })

  test('that is still being read when the checker is closed comes to nothing', async () => {
    const checker = made({ files: await fileOf({ revoked: many }) })
    checker.close()
    await expect(checker.ready()).rejects.toThrow('was closed')
    await start()
    expect(events).toEqual([])
  })
})

describe('ready()', () => {
  test('R-09: resolves where every file is loaded and fresh, and rejects from the moment one has ended', async () => {
    const path = await fileOf({ nextUpdate: fromNoon(hour) })
    const clock = { now: noon.getTime() }
    const checker = closing(crl({ files: path, watch: false, now: () => clock.now }))
    const { auth } = deciding({ trust: pki.trust, revocation: checker }, clock)
    await expect(auth.ready()).resolves.toBeUndefined()
    clock.now += hour
    await expect(auth.ready()).resolves.toBeUndefined()
    clock.now += 1
    await expect(auth.ready()).rejects.toThrow(/^crl: CRL of "CN=Test Intermediate CA" .* has ended, its nextUpdate is/)
  })

  test('R-09: a CRL without nextUpdate, of which nobody is admitted, is not ready', async () => {
    await expect(made({ files: await fileOf({ nextUpdate: false }) }).ready()).rejects.toThrow('and has no nextUpdate')
    await expect(made({ files: await fileOf({ nextUpdate: false }), maxAge: 86_400 }).ready()).resolves.toBeUndefined()
  })

  test('what a newer one superseded may end', async () => {
    const old = await pki.crl({ thisUpdate: fromNoon(-3 * day), nextUpdate: fromNoon(-2 * day), number: 50 })
    const path = file(old.pem + (await pki.crl({ number: 51 })).pem)
    await expect(made({ files: path }).ready()).resolves.toBeUndefined()
    await expect(made({ files: file(old.pem) }).ready()).rejects.toThrow('has ended')
  })

  test('a complete CRL that has ended is missed although there is a newer delta; a delta that has is not, once there is a newer complete one', async () => {
    const ended = { thisUpdate: fromNoon(-2 * day), nextUpdate: fromNoon(-day) }
    const base = await pki.crl({ ...ended, number: 60 })
    const delta = await pki.crl({ number: 61, baseNumber: 60 })
    await expect(made({ files: file(base.pem + delta.pem) }).ready()).rejects.toThrow('has ended')
    const complete = await pki.crl({ number: 63 })
    const old = await pki.crl({ ...ended, number: 62, baseNumber: 60 })
    await expect(made({ files: file(complete.pem + old.pem) }).ready()).resolves.toBeUndefined()
  })

  test('of an authenticator that was closed rejects, and leaves the checker as it was', async () => {
    const checker = made({ files: await fileOf() })
    const { auth } = deciding({ trust: pki.trust, revocation: checker })
    await auth.close()
    await expect(auth.ready()).rejects.toMatchObject({ code: 'ERR_CLIENT_CERT_NOT_READY' })
    await expect(checker.ready()).resolves.toBeUndefined()
  })
})

describe('who owns a checker', () => {
  let other: TestAuthority
  beforeAll(async () => {
    other = await createTestAuthority({ now: noon, subject: 'CN=Other Root' })
  })

  test('two authenticators share one, each by its own trust; closing one of them closes nothing for the other', async () => {
    const carol = await other.issue({ subject: 'CN=carol' })
    const dave = await other.issue({ subject: 'CN=dave' })
    const path = file(
      (await pki.crl(revoking(bob))).pem + (await pki.root.crl()).pem + (await other.crl(revoking(dave))).pem,
    )
    const checker = made({ files: path })
    const first = deciding({ trust: pki.trust, revocation: checker })
    const second = deciding({ trust: other.certificate.pem, revocation: checker })
    const verdicts = async ({ verdict }: typeof first) => [
      await verdict(alice),
      await verdict(bob),
      await verdict(carol),
      await verdict(dave),
    ]
    expect(await verdicts(first)).toEqual(['accepted', 'REVOKED', 'UNKNOWN_ISSUER', 'UNKNOWN_ISSUER'])
    expect(await verdicts(second)).toEqual(['UNKNOWN_ISSUER', 'UNKNOWN_ISSUER', 'accepted', 'REVOKED'])
    await first.auth.close()
    expect(await verdicts(second)).toEqual(['UNKNOWN_ISSUER', 'UNKNOWN_ISSUER', 'accepted', 'REVOKED'])
    await expect(second.auth.ready()).resolves.toBeUndefined()
  })

  test('each accepts the signatures its own profile does, whoever asked first', async () => {
    const path = file((await pki.crl()).pem + (await pki.root.crl({ hash: 'SHA-384' })).pem)
    const narrow = { signatureAlgorithms: ['ecdsa-with-SHA256'] }
    const checker = made({ files: path })
    const wide = deciding({ trust: pki.trust, revocation: checker })
    const strict = deciding({ trust: pki.trust, revocation: checker, profile: narrow })
    expect([await wide.verdict(alice), await strict.verdict(alice)]).toEqual(['accepted', 'REVOCATION_UNKNOWN'])
    const again = made({ files: path })
    const first = deciding({ trust: pki.trust, revocation: again, profile: narrow })
    const second = deciding({ trust: pki.trust, revocation: again })
    expect([await first.verdict(alice), await second.verdict(alice)]).toEqual(['REVOCATION_UNKNOWN', 'accepted'])
  })
})

describe('what is said at start', () => {
  const say = async (options: CrlOptions, trust: Parameters<typeof deciding>[0]['trust'] = pki.trust) => {
    deciding({ trust, revocation: made(options), intermediates: pki.intermediate.certificate.pem })
    await start()
    return warnings.map((text) => text.replaceAll(/\/\S+\.crl/g, 'FILE'))
  }

  test('R-09: every trusted CA without a CRL, by name', async () => {
    expect(await say({ files: file((await pki.crl()).pem) })).toEqual([
      'MTLS_CRL_MISSING: crl: no CRL of "CN=Test Root CA": all its clients will get 503, unless allowUnknown admits them — add it',
    ])
  })

  test('nothing, where all are there', async () => {
    expect(await say({ files: await fileOf() })).toEqual([])
  })

  test('row 30: CRLs of others only are the wrong file', async () => {
    const stranger = await createTestPki({ now: noon, name: 'Stranger' })
    const path = file((await stranger.crl()).pem + (await stranger.root.crl()).pem)
    expect(await say({ files: path })).toEqual([
      'MTLS_CRL_UNRELATED: crl: 2 CRLs loaded, 0 for any trusted CA — wrong file?',
      expect.stringMatching(/^MTLS_CRL_MISSING: crl: no CRL of "CN=Test Root CA", "CN=Test Intermediate CA": /),
    ])
  })

  test('of many no more than three are named', async () => {
    const others = await Promise.all([1, 2, 3, 4].map((i) => createTestAuthority({ subject: `CN=CA ${i}`, now: noon })))
    const trust = others.map(({ certificate }) => certificate.pem).join('')
    expect((await say({ files: await fileOf() }, trust)).at(-1)).toMatch(
      /"CN=CA 1", "CN=CA 2", "CN=CA 3" and 1 more: all/,
    )
  })

  test('nothing, where an indirect CRL may speak for anybody, where certificates name CRLs, and where another checker may know', async () => {
    const indirect = await pki.root.crl({ issuingDistributionPoint: { indirectCRL: true } })
    expect(await say({ files: file(indirect.pem) })).toEqual([])
    expect(await say({ fromCertificate: true, allowHosts: ['crl.corp'] })).toEqual([])
    const checker = made({ files: file((await pki.crl()).pem) })
    deciding({ trust: pki.trust, revocation: firstDefinite(checker, made({ files: await fileOf() })) })
    await start()
    expect(warnings).toEqual([])
    deciding({ trust: pki.trust, revocation: firstDefinite(denyList({ entries: [] }), checker) })
    await start()
    expect(warnings).toEqual([
      'MTLS_CRL_UNRELATED: crl: 1 CRL loaded, 0 for any trusted CA — wrong file?',
      expect.stringContaining('MTLS_CRL_MISSING: crl: no CRL of "CN=Test Root CA": '),
    ])
  })

  test('nothing about pinned clients, which have no CA', async () => {
    expect(await say({ files: await fileOf() }, { ca: pki.trust, pinned: alice.certificate.pem })).toEqual([])
  })

  test('a CRL that has ended already', async () => {
    const path = await fileOf({ nextUpdate: fromNoon(-minute), thisUpdate: fromNoon(-hour) })
    expect(await say({ files: path })).toEqual([
      'MTLS_CRL_ENDED: crl: CRL of "CN=Test Intermediate CA" (FILE) has ended, its nextUpdate is 2026-11-20T11:59:00Z — fix the job that renews it: its clients get 503',
    ])
    expect(events.filter(({ type }) => type === 'crl-ended')).toEqual([
      { type: 'crl-ended', where: path, issuer: 'CN=Test Intermediate CA', nextUpdate: fromNoon(-minute) },
    ])
  })
})

/** C-01: trust anchors that have ended accept nobody, keep nobody else out, and are never passed over in silence. */
import { afterEach, beforeAll, beforeEach, expect, jest, test } from '@jest/globals'
import { type Authenticator, ClientCertConfigError, createAuthenticator, TrustStore } from '../../src/index.js'
import { createTestAuthority, type TestAuthority, type TestCredential } from '../../src/testing.js'
import { fromNoon, hour, noon, thrownBy } from '../support/pki.js'

let ended: TestAuthority
let ending: TestAuthority
let good: TestAuthority
beforeAll(async () => {
  const make = (name: string, notAfter: Date) =>
    createTestAuthority({ now: fromNoon(-hour), subject: `CN=${name}`, notAfter })
  ended = await make('Ended', fromNoon(-1_000))
  ending = await make('Ending', noon)
  good = await make('Good', fromNoon(1_000 * hour))
})

let warnings: string[] = []
beforeEach(() => {
  warnings = []
  jest.spyOn(process, 'emitWarning').mockImplementation((message, options) => {
    warnings.push(`${(options as { code: string }).code}: ${message}`)
  })
})
afterEach(() => {
  jest.restoreAllMocks()
})

const pemOf = (...authorities: TestAuthority[]) => authorities.map(({ certificate }) => certificate.pem).join('')
const make = (trust: string | TrustStore | object, now: () => number = () => noon.getTime()) =>
  createAuthenticator({ trust: trust as string, revocation: 'none', log: false, now })

async function verdict(auth: Authenticator, { certificate }: TestCredential) {
  const decision = await auth.authenticateChain({ certificate: certificate.der, intermediates: [], via: 'tls' })
  return decision.outcome === 'accepted' ? 'accepted' : decision.error.code
}

test('one that has ended at the start is named, accepts nobody, and the other one goes on', async () => {
  const auth = make(pemOf(ended, good))
  expect(warnings).toEqual([
    'MTLS_EXPIRED_ANCHOR: trust: "CN=Ended" ended, and accepts nobody — remove it, or put its successor there',
  ])
  expect(await verdict(auth, await good.issue())).toBe('accepted')
  expect(await verdict(auth, await ended.issue({ notAfter: fromNoon(hour) }))).toBe('ERR_CLIENT_CERT_EXPIRED')
  await auth.close()
})

test('one is good to the last second that it names', () => {
  make(pemOf(ending, good), () => noon.getTime() + 999)
  expect(warnings).toEqual([])
  make(pemOf(ending, good), () => noon.getTime() + 1_000)
  expect(warnings.length).toBe(1)
})

test('all of them at the start is a mistake, and stops it; pins count', () => {
  expect(thrownBy(() => make(pemOf(ended)))).toMatch(
    /every certificate in it has ended: "CN=Ended" — put the CA there that issues your clients now/,
  )
  expect(() => make(pemOf(ended))).toThrow(ClientCertConfigError)
  expect(() => make({ clients: pemOf(ended), pinned: pemOf(good) })).not.toThrow()
})

test('a pinned client that has an exception accepts itself, and is not named; without one it is', async () => {
  const client = await good.issue({ subject: 'CN=alice', notAfter: fromNoon(-1_000) })
  const trust = { clients: pemOf(good), pinned: client.certificate.pem }
  const until = fromNoon(hour)
  const exceptions = [{ fingerprint: client.fingerprint, ignore: ['expired' as const], until, reason: 'Ops' }]
  const auth = createAuthenticator({
    trust,
    revocation: 'none',
    log: false,
    now: () => noon.getTime(),
    exceptions,
  })
  expect([await verdict(auth, client), warnings]).toEqual(['accepted', []])
  expect(await verdict(make(trust), client)).toBe('ERR_CLIENT_CERT_EXPIRED')
  expect(warnings).toEqual([expect.stringMatching(/^MTLS_EXPIRED_ANCHOR: trust: "CN=alice" ended/)])
})

test('at a reload it is named, and no reload is refused for it, not even where all have ended', async () => {
  let content = pemOf(good)
  const store = TrustStore.assemble({ label: 'memory', load: () => TrustStore.parse(content).current() })
  const auth = make(store)
  const client = await good.issue()
  expect(await verdict(auth, client)).toBe('accepted')
  content = pemOf(good, ended)
  expect(store.reload().ok).toBe(true)
  expect([await verdict(auth, client), warnings.length]).toEqual(['accepted', 1])
  // The same again is no news.
  store.reload()
  content = pemOf(ended)
  expect(store.reload().ok).toBe(true)
  expect([await verdict(auth, client), warnings.length]).toEqual(['ERR_CLIENT_CERT_UNKNOWN_ISSUER', 1])
  content = pemOf(good)
  store.reload()
  content = pemOf(good, ended)
  store.reload()
  expect(warnings.length).toBe(2)
  await auth.close()
  store.reload()
  expect(warnings.length).toBe(2)
})

test('many are named in few words', async () => {
  const many = await Promise.all(
    Array.from({ length: 5 }, (_, i) =>
      createTestAuthority({ now: fromNoon(-hour), subject: `CN=Old ${i}`, notAfter: fromNoon(-1_000) }),
    ),
  )
  make(pemOf(good, ...many))
  expect(warnings[0]).toMatch(/"CN=Old 0", "CN=Old 1", "CN=Old 2" and 2 more ended/)
})

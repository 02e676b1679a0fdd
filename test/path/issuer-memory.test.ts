import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import { createAuthenticator } from '../../src/core/authenticator.js'
import type { Authenticator } from '../../src/core/contract.js'
import type { AuthenticatorOptions } from '../../src/core/options.js'
import { IssuerMemory } from '../../src/path/issuer-memory.js'
import { resolveProfile } from '../../src/path/profile.js'
import { verifiedPaths } from '../../src/path/verified-paths.js'
import { TrustSnapshot } from '../../src/trust/trust-snapshot.js'
import { TrustStore } from '../../src/trust/trust-store.js'
import { Certificate } from '../../src/x509/certificate.js'
import { type Forged, forge, forgePath, fromNoon, noon, pem, poolKey } from '../support/path-forge.js'

const root = forge({ subject: 'Root', key: poolKey(0) })
const ca = forge({ issuer: root, ca: true, subject: 'CA', key: poolKey(1) })
const leaf = (subject = 'alice', issuer = ca) => forge({ issuer, subject, key: poolKey(2) })

/** An authenticator at noon, whose signatures are counted by what it can afford. */
function authenticator(options: Partial<AuthenticatorOptions> = {}): Authenticator {
  return createAuthenticator({ trust: root.der, revocation: 'none', log: false, now: () => noon.getTime(), ...options })
}

async function outcome(auth: Authenticator, end: Forged, via: readonly Forged[] = []): Promise<string> {
  const intermediates = via.map(({ der }) => der)
  const decision = await auth.authenticateChain({ certificate: end.der, intermediates, via: 'tls' })
  if (decision.outcome === 'accepted') return 'accepted'
  return decision.error.code.replace('ERR_CLIENT_CERT_', '')
}

const folder = mkdtempSync(join(tmpdir(), 'mtls-identity-memory-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Signatures are seen through the profile: who cannot afford a second one has not computed it. */
describe('a remembered issuer', () => {
  const thrifty = { profile: { maxSignatures: 1 } }

  test('with one signature to spend, a path of two is refused', async () => {
    expect(await outcome(authenticator(thrifty), leaf(), [ca])).toBe('BUDGET')
    expect(await outcome(authenticator({ profile: { maxSignatures: 2 } }), leaf(), [ca])).toBe('accepted')
  })

  test('costs no second signature', async () => {
    // A path of three needs three signatures, and with its upper half known two, and with both CAs known one.
    const [one, two] = forgePath(root, { ca: true, subject: 'One' }, { ca: true, subject: 'Two' }) as [Forged, Forged]
    const auth = authenticator({ profile: { maxSignatures: 2 } })
    expect(await outcome(auth, leaf('a', two), [one, two])).toBe('BUDGET')
    expect(await outcome(auth, leaf('b', one), [one])).toBe('accepted')
    expect(await outcome(auth, leaf('c', two), [one, two])).toBe('accepted')
    const deeper = forge({ issuer: two, ca: true, subject: 'Three' })
    expect(await outcome(auth, leaf('d', deeper), [one, two, deeper])).toBe('accepted')
    expect(await outcome(auth, leaf('e', deeper), [one, two, deeper])).toBe('accepted')
  })

  test('is recognised by all of its octets: a copy of its signature on another certificate is another', () => {
    const memory = new IssuerMemory()
    const find = finder(memory)
    expect(find(leaf('a'), [ca], 2)).toBe('accepted')
    expect(memory.recall(ca.der)).toBeDefined()
    const copied = Uint8Array.from(ca.der)
    const at = Buffer.from(copied).indexOf('CA')
    copied[at] = 'D'.charCodeAt(0)
    expect(Buffer.from(copied.subarray(-24))).toEqual(Buffer.from(ca.der.subarray(-24)))
    expect(memory.recall(copied)).toBeUndefined()
    expect(memory.recall(ca.der.subarray(0, 10))).toBeUndefined()
    expect(memory.recall(new Uint8Array())).toBeUndefined()
  })

  test('costs none either for an end entity that is new, sent or not sent along', async () => {
    const memory = new IssuerMemory()
    const find = finder(memory)
    expect(find(leaf('a'), [ca], 1)).toBe('BUDGET')
    expect(find(leaf('b'), [ca], 2)).toBe('accepted')
    expect(find(leaf('c'), [ca], 1)).toBe('accepted')
    expect(find(leaf('d'), [], 1)).toBe('accepted')
    expect(find(leaf('e'), [], 0)).toBe('BUDGET')
  })

  test('does not vouch for a signature of the end entity: every one is verified', async () => {
    const auth = authenticator()
    expect(await outcome(auth, leaf('a'), [ca])).toBe('accepted')
    const forged = forge({ issuer: ca, signer: poolKey(7), subject: 'b', key: poolKey(2) })
    expect(await outcome(auth, forged, [ca])).toBe('SIGNATURE')
    // Nor for another certificate of the same name and key: its own signature counts.
    const twin = forge({
      issuer: root,
      signer: poolKey(7),
      ca: true,
      subject: 'CA',
      key: poolKey(1),
      omit: ['2.5.29.15'],
    })
    const find = finder(new IssuerMemory())
    expect(find(leaf('c'), [ca], 2)).toBe('accepted')
    expect(find(leaf('d'), [twin], 2)).toBe('accepted') // by way of the one that is remembered
    expect(await outcome(authenticator(), leaf('d'), [twin])).toBe('SIGNATURE')
  })

  test('is refused once it has expired, and while it has not begun', async () => {
    let at = noon
    const short = forge({ issuer: root, ca: true, subject: 'Short', notBefore: fromNoon(-60), notAfter: fromNoon(60) })
    const auth = authenticator({ now: () => at.getTime() })
    expect(await outcome(auth, leaf('a', short), [short])).toBe('accepted')
    expect(await outcome(auth, leaf('b', short))).toBe('accepted')
    at = fromNoon(60)
    expect(await outcome(auth, leaf('c', short), [short])).toBe('accepted')
    at = fromNoon(61)
    expect(await outcome(auth, leaf('a', short), [short])).toBe('EXPIRED')
    expect(await outcome(auth, leaf('b', short))).toBe('EXPIRED')
    expect(await outcome(auth, leaf('d', short))).toBe('EXPIRED')
    at = fromNoon(-61)
    expect(await outcome(auth, leaf('e', short))).toBe('NOT_YET_VALID')
    at = fromNoon(-60)
    expect(await outcome(auth, leaf('f', short))).toBe('accepted')
  })

  test('is held to its constraints like any other', async () => {
    const bound = forge({ issuer: root, ca: true, subject: 'Bound', pathLength: 0 })
    const below = forge({ issuer: bound, ca: true, subject: 'Below' })
    const auth = authenticator()
    expect(await outcome(auth, leaf('a', bound), [bound])).toBe('accepted')
    expect(await outcome(auth, leaf('b', below), [bound, below])).toBe('PATH_LENGTH')
    expect(await outcome(auth, leaf('c', below), [below])).toBe('PATH_LENGTH')
    const free = forge({ issuer: root, ca: true, subject: 'Bound', key: bound.key })
    expect(await outcome(auth, leaf('d', below), [free, below])).toBe('accepted')
  })
})

/** Path search as an authenticator does it, with a budget for each call: the code of the refusal, or `accepted`. */
function finder(memory: IssuerMemory, trust = new TrustSnapshot([{ certificate: Certificate.parse(root.der) }])) {
  return (end: Forged, via: readonly Forged[], maxSignatures: number): string => {
    const presented = via.map(({ der }) => memory.recall(der) ?? Certificate.parse(der))
    try {
      const profile = resolveProfile({ maxSignatures })
      const { value, done } = verifiedPaths(
        Certificate.parse(end.der),
        trust,
        { presented, memory },
        profile,
        noon.getTime(),
      ).next()
      if (done) return value.code.replace('ERR_CLIENT_CERT_', '')
      memory.remember(value)
      return 'accepted'
    } catch (error) {
      return (error as { code: string }).code.replace('ERR_CLIENT_CERT_', '')
    }
  }
}

describe('a new beginning', () => {
  const certificates = (...made: Forged[]) =>
    new TrustSnapshot(made.map(({ der }) => ({ certificate: Certificate.parse(der) })))

  test('another snapshot of the same anchors has to verify anew', () => {
    const memory = new IssuerMemory()
    expect(finder(memory)(leaf('a'), [ca], 2)).toBe('accepted')
    expect(finder(memory)(leaf('b'), [ca], 1)).toBe('BUDGET')
    expect(finder(memory)(leaf('b'), [ca], 2)).toBe('accepted')
    // The same snapshot has not.
    const same = certificates(root)
    expect(finder(memory, same)(leaf('c'), [ca], 2)).toBe('accepted')
    expect(finder(memory, same)(leaf('d'), [ca], 1)).toBe('accepted')
  })

  test('an anchor of the same name with another key makes nothing of what was remembered', () => {
    const memory = new IssuerMemory()
    expect(finder(memory)(leaf('a'), [ca], 2)).toBe('accepted')
    const impostor = forge({ subject: 'Root', key: poolKey(8) })
    expect(finder(memory, certificates(impostor))(leaf('b'), [ca], 9)).toBe('SIGNATURE')
    expect(finder(memory, certificates(impostor, root))(leaf('b'), [ca], 9)).toBe('accepted')
  })

  test('after a reload an authenticator verifies anew, and against what is trusted then', async () => {
    const file = join(folder, 'reload.pem')
    writeFileSync(file, pem(root.der))
    const store = TrustStore.load(file, { watch: false })
    const auth = authenticator({ trust: store })
    expect(await outcome(auth, leaf('a'), [ca])).toBe('accepted')
    expect(await outcome(auth, leaf('b'))).toBe('accepted')
    writeFileSync(file, pem(forge({ subject: 'Root', key: poolKey(8) }).der))
    expect(store.reload()).toMatchObject({ ok: true })
    for (const name of ['a', 'b', 'c']) expect(await outcome(auth, leaf(name), [ca])).toBe('SIGNATURE')
    writeFileSync(file, pem(root.der))
    expect(store.reload()).toMatchObject({ ok: true })
    expect(await outcome(auth, leaf('d'), [ca])).toBe('accepted')
  })

  test('a reload costs the signatures again', async () => {
    const file = join(folder, 'again.pem')
    writeFileSync(file, pem(root.der))
    const store = TrustStore.load(file, { watch: false })
    const [one, two] = forgePath(root, { ca: true, subject: 'One' }, { ca: true, subject: 'Two' }) as [Forged, Forged]
    const auth = authenticator({ trust: store, profile: { maxSignatures: 2 } })
    expect(await outcome(auth, leaf('a', one), [one])).toBe('accepted')
    expect(await outcome(auth, leaf('b', two), [one, two])).toBe('accepted')
    expect(await outcome(auth, leaf('c', two), [one, two])).toBe('accepted')
    store.reload()
    // Two by One is remembered, for those are the same objects; One by the anchor is not: leaf and One are two signatures.
    expect(await outcome(auth, leaf('d', two), [one, two])).toBe('accepted')
    const fresh = authenticator({ trust: store, profile: { maxSignatures: 2 } })
    expect(await outcome(fresh, leaf('d', two), [one, two])).toBe('BUDGET')
  })

  test('nothing is shared between two authenticators, of one store even', async () => {
    const store = TrustStore.parse(pem(root.der))
    const [first, second] = [authenticator({ trust: store }), authenticator({ trust: store })]
    expect(await outcome(first, leaf('a'), [ca])).toBe('accepted')
    expect(await outcome(first, leaf('b'))).toBe('accepted')
    expect(await outcome(second, leaf('b'))).toBe('UNKNOWN_ISSUER')
    expect(await outcome(second, leaf('c'), [ca])).toBe('accepted')
    expect(await outcome(second, leaf('d'))).toBe('accepted')
  })
})

describe('what gets in', () => {
  test('nothing of a path that was refused', async () => {
    const auth = authenticator()
    const refused = forge({ issuer: ca, subject: 'server', extensions: [], omit: ['2.5.29.37'] })
    expect(await outcome(auth, refused, [ca])).toBe('KEY_USAGE')
    expect(await outcome(auth, leaf('b'))).toBe('UNKNOWN_ISSUER')
    expect(await outcome(auth, leaf('c'), [ca])).toBe('accepted')
    expect(await outcome(auth, leaf('d'))).toBe('accepted')
  })

  test('nothing of strangers: not their CAs, not by the name of ours', async () => {
    const stranger = forge({ subject: 'Stranger', key: poolKey(9) })
    const theirs = forge({ issuer: stranger, ca: true, subject: 'CA', key: poolKey(10) })
    const auth = authenticator()
    expect(await outcome(auth, leaf('a', theirs), [theirs, stranger])).toMatch(/UNKNOWN_ISSUER|SIGNATURE/)
    expect(await outcome(auth, leaf('b'), [theirs, ca, stranger])).toBe('accepted')
    // What was sent along with a good path is not part of it.
    expect(await outcome(auth, leaf('c', theirs))).toMatch(/UNKNOWN_ISSUER|SIGNATURE/)
    expect(await outcome(auth, leaf('d'))).toBe('accepted')
  })

  test('not the end entity, though it be a CA', async () => {
    const auth = authenticator({ profile: { allowCaAsClient: true, extendedKeyUsage: 'any' } })
    expect(await outcome(auth, ca)).toBe('accepted')
    expect(await outcome(auth, leaf('a'))).toBe('UNKNOWN_ISSUER')
    expect(await outcome(auth, leaf('b'), [ca])).toBe('accepted')
    expect(await outcome(auth, leaf('c'))).toBe('accepted')
  })

  test('strangers drive nothing out, however many they are', async () => {
    const auth = authenticator()
    expect(await outcome(auth, leaf('a'), [ca])).toBe('accepted')
    const stranger = forge({ subject: 'Stranger', key: poolKey(9) })
    for (let i = 0; i < 1_200; i++) {
      const theirs = forge({ issuer: stranger, ca: true, subject: i % 2 === 0 ? 'CA' : `CA ${i}`, unsigned: true })
      await outcome(auth, forge({ issuer: theirs, subject: 'x', unsigned: true }), [theirs])
    }
    expect(await outcome(auth, leaf('b'))).toBe('accepted')
    expect(await outcome(authenticator(), leaf('b'))).toBe('UNKNOWN_ISSUER')
  })
})

describe('its size', () => {
  test('is four certificates for a name, the latest of them', async () => {
    const memory = new IssuerMemory()
    const find = finder(memory)
    const made = Array.from({ length: 6 }, (_, i) =>
      forge({ issuer: root, ca: true, subject: 'Many', key: poolKey(10 + i) }),
    )
    for (const issuer of made) expect(find(leaf('a', issuer), [issuer], 9)).toBe('accepted')
    const name = Certificate.parse((made[0] as Forged).der).subject
    expect(memory.bySubject(name)).toHaveLength(4)
    expect(find(leaf('b', made[5] as Forged), [], 9)).toBe('accepted')
    expect(find(leaf('b', made[2] as Forged), [], 9)).toBe('accepted')
    expect(find(leaf('b', made[1] as Forged), [], 9)).toBe('SIGNATURE')
    expect(find(leaf('b', made[1] as Forged), [made[1] as Forged], 9)).toBe('accepted')
  })

  test('is a thousand certificates in all: the one used longest ago goes', () => {
    const memory = new IssuerMemory()
    const anchor = { certificate: Certificate.parse(root.der) }
    const issuers = Array.from({ length: 1_003 }, (_, i) =>
      Certificate.parse(forge({ issuer: root, ca: true, subject: `CA ${i}`, unsigned: true, key: poolKey(3) }).der),
    )
    const end = Certificate.parse(leaf().der)
    const remember = (issuer: Certificate) => memory.remember({ certificates: [end, issuer], anchor } as never)
    for (const issuer of issuers.slice(0, 1_000)) remember(issuer)
    const known = (i: number) => memory.recall((issuers[i] as Certificate).der) !== undefined
    expect(known(0)).toBe(true)
    for (const issuer of issuers.slice(1_000)) remember(issuer)
    expect([0, 1, 2, 3, 4, 1_002].map(known)).toEqual([true, false, false, false, true, true])
  })

  test('a recalled certificate is the one whose every octet was sent', () => {
    const memory = new IssuerMemory()
    expect(finder(memory)(leaf(), [ca], 2)).toBe('accepted')
    expect(memory.recall(Uint8Array.from(ca.der))?.der).toEqual(ca.der)
    const changed = ca.der.map((octet, i) => (i === ca.der.length - 1 ? octet ^ 1 : octet))
    expect(memory.recall(changed)).toBeUndefined()
  })
})

import { createHash, X509Certificate } from 'node:crypto'
import { inspect } from 'node:util'
import { beforeAll, describe, expect, test } from '@jest/globals'
import type { ClientIdentity } from '../../src/identity/identity.js'
import { createTestPki, type IssueOptions, type TestCredential, type TestPki } from '../../src/testing.js'
import { field, identityOf, noon, rebuild, refusedBy, seq, tlv, utf8, verdict } from '../support/pki.js'

let pki: TestPki
let alice: TestCredential
let identity: ClientIdentity

const names = {
  dns: ['alice.acme.test', '*.acme.test'],
  uri: ['https://acme.test/alice'],
  email: ['alice@acme.test'],
  ip: ['192.0.2.1', '2001:db8::1'],
  upn: ['alice@ad.acme.test'],
  directory: ['CN=Alice,O=Acme'],
}

beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue({ subject: 'CN=alice,OU=Dev,O=Acme\\, Inc.,C=DE', names })
  identity = await identityOf(alice, { trust: { partners: pki.trust } })
})

const of = async (options: IssueOptions) => identityOf(await pki.issue(options), { trust: pki.trust })
const hexOf = (der: Uint8Array) => createHash('sha256').update(der).digest('hex')

describe('every field is derived from the DER that was verified', () => {
  test('fingerprint, thumbprint, pin', () => {
    const { der } = alice.certificate
    const node = new X509Certificate(der)
    expect(identity.fingerprint).toBe(node.fingerprint256.replaceAll(':', '').toLowerCase())
    expect(identity.x5tS256).toBe(createHash('sha256').update(der).digest('base64url'))
    const spki = node.publicKey.export({ type: 'spki', format: 'der' })
    expect(identity.publicKeyPin).toBe(createHash('sha256').update(spki).digest('base64'))
  })

  test('the pin stays over a renewal with the same key, the fingerprint does not', async () => {
    const renewed = await identityOf(await pki.issue({ key: alice }), { trust: pki.trust })
    expect(renewed.publicKeyPin).toBe(identity.publicKeyPin)
    expect(renewed.fingerprint).not.toBe(identity.fingerprint)
  })

  test('subject and issuer are trees; get() reads one value, all() every one', () => {
    expect(`${identity.subject}`).toBe('CN=alice,OU=Dev,O=Acme\\, Inc.,C=DE')
    expect(`${identity.issuer}`).toBe('CN=Test Intermediate CA')
    expect(identity.subject.get('O')).toBe('Acme, Inc.')
    expect(identity.subject.all('CN')).toEqual(['alice'])
    expect(identity.subject.get('L')).toBeUndefined()
  })

  test('names, by their types, as written', () => {
    const { directory, ...texts } = identity.names
    expect(texts).toEqual({ dns: names.dns, uri: names.uri, email: names.email, ip: names.ip, upn: names.upn })
    expect(directory.map(String)).toEqual(['CN=Alice,O=Acme'])
  })

  test('I-07: a name of one type is in no other list', async () => {
    const { names: found } = await of({ names: { email: ['a@acme.test'], uri: ['urn:acme.test'], dns: ['acme.test'] } })
    expect(found).toEqual({
      dns: ['acme.test'],
      uri: ['urn:acme.test'],
      email: ['a@acme.test'],
      ip: [],
      upn: [],
      directory: [],
    })
  })

  test('no names are empty lists', async () => {
    expect((await of({})).names).toEqual({ dns: [], uri: [], email: [], ip: [], upn: [], directory: [] })
  })

  test('a SmtpUTF8Mailbox is an email; an otherName of another type is no name', async () => {
    const other = (type: number[], value: Uint8Array) => tlv(0xa0, tlv(6, type), tlv(0xa0, value))
    const smtp = other([43, 6, 1, 5, 5, 7, 8, 9], utf8('älice@acme.test'))
    const upnLike = other([43, 6, 1, 4, 1, 130, 55, 20, 2, 4], utf8('root@ad.acme.test'))
    const { names: found } = await of({ extensions: [{ oid: '2.5.29.17', value: seq(smtp, upnLike) }] })
    expect([found.email, found.upn]).toEqual([['älice@acme.test'], []])
  })

  test('validity, policies, via, chain, anchor', () => {
    expect([identity.notBefore, identity.notAfter].map((date) => date.toISOString())).toEqual([
      '2026-11-20T11:00:00.000Z',
      '2026-11-21T12:00:00.000Z',
    ])
    expect(identity.policies).toEqual([])
    expect(identity.via).toBe('tls')
    expect(identity.principal).toBeUndefined()
    expect(identity.chain.map(({ subject, fingerprint }) => [`${subject}`, fingerprint])).toEqual([
      ['CN=Test Intermediate CA', hexOf(pki.intermediate.certificate.der)],
    ])
    expect([`${identity.anchor.subject}`, identity.anchor.fingerprint, identity.anchor.name]).toEqual([
      'CN=Test Root CA',
      hexOf(pki.root.certificate.der),
      'partners',
    ])
    expect(identity.chain[0]?.serialNumber).toBe(pki.intermediate.serialNumber)
  })

  test('the certificate comes as DER and as PEM that Node reads', () => {
    expect(Buffer.from(identity.certificate.der).equals(alice.certificate.der)).toBe(true)
    expect(new X509Certificate(identity.certificate.pem).raw.equals(alice.certificate.der)).toBe(true)
  })
})

describe('I-10: the serial number as Node prints it', () => {
  test.each([
    '1',
    '7F',
    '80',
    'ff',
    '00ff',
    '0100',
    '0',
    '123456789abcdef0123456789abcdef012345678',
    '8000000000000000000000000000000000000000',
    '-1',
    '-80',
    '-81',
    '-100',
  ])('%s', async (serialNumber) => {
    const credential = await pki.issue({ serialNumber })
    const { serialNumber: text } = await identityOf(credential, { trust: pki.trust })
    expect(text).toBe(new X509Certificate(credential.certificate.der).serialNumber)
    expect(text).toMatch(/^-?([0-9A-F]{2}|0)+$/)
  })

  test('1 and 01 are one number, 1 and 100 are not; 2^53 + 1 is not 2^53', async () => {
    const text = async (serialNumber: string) => (await of({ serialNumber })).serialNumber
    expect(await text('01')).toBe(await text('1'))
    expect(await text('100')).not.toBe(await text('1'))
    expect(await text('20000000000001')).not.toBe(await text('20000000000000'))
  })

  test('of 21 octets is refused', async () => {
    const credential = await pki.root.issue({ serialNumber: `01${'00'.repeat(20)}` })
    expect(await verdict(credential, { anchors: [pki.root] })).toBe('ERR_CLIENT_CERT_MALFORMED @0')
  })
})

describe('I-12: frozen through and through', () => {
  /** Every object reachable from the identity by reading properties, getters of its prototypes included. */
  function reachable(from: object): Map<object, string> {
    const found = new Map<object, string>([[from, 'identity']])
    for (const [object, path] of found) {
      const keys = new Set<PropertyKey>()
      for (
        let level: object = object;
        level !== null && level !== Object.prototype;
        level = Object.getPrototypeOf(level)
      ) {
        if (
          [Array.prototype, Date.prototype, Uint8Array.prototype, Function.prototype].some((known) => known === level)
        )
          break
        for (const key of Reflect.ownKeys(level)) keys.add(key)
      }
      for (const key of keys) {
        if (key === 'constructor' || ArrayBuffer.isView(object)) continue
        const value: unknown = Reflect.get(object, key)
        if (typeof value === 'object' && value !== null && !found.has(value)) found.set(value, `${path}.${String(key)}`)
      }
      if (found.size > 500) break
    }
    return found
  }

  test('every object that can be read from it is frozen, or a copy that nobody else sees', () => {
    const before = JSON.stringify(identity)
    let copies = 0
    for (const [object, path] of reachable(identity)) {
      if (object instanceof Date) {
        object.setTime(0)
        copies++
      } else if (object instanceof Uint8Array) {
        object.fill(0)
        copies++
      } else {
        expect([path, Object.isFrozen(object)]).toEqual([path, true])
      }
    }
    expect(copies).toBeGreaterThan(4)
    expect(JSON.stringify(identity)).toBe(before)
    expect(identity.certificate.der[0]).toBe(0x30)
  })

  test.each<[string, (identity: ClientIdentity) => unknown]>([
    ['a field', (id) => Object.assign(id, { fingerprint: 'x' })],
    ['via', (id) => Object.assign(id, { via: 'proxy' })],
    ['a new field', (id) => Object.assign(id, { roles: ['admin'] })],
    ['a field by definition', (id) => Object.defineProperty(id, 'spiffeId', { value: 'x' })],
    ['its prototype', (id) => Object.setPrototypeOf(id, { fingerprint: 'x' })],
    ['a field away', (id) => delete (id as { via?: string }).via],
    ['a list of names', (id) => (id.names.dns as string[]).push('admin.acme.test')],
    ['an entry of a list', (id) => Object.assign(id.names.dns, { 0: 'admin' })],
    ['the names', (id) => Object.assign(id.names, { dns: [] })],
    ['the subject', (id) => Object.assign(id.subject, { rdns: [] })],
    ['an RDN', (id) => (id.subject.rdns as unknown[]).pop()],
    ['an attribute', (id) => Object.assign(id.subject.rdns[0]?.[0] as object, { value: 'admin' })],
    ['the chain', (id) => (id.chain as unknown[]).pop()],
    ['the anchor', (id) => Object.assign(id.anchor, { name: 'internal' })],
    ['the policies', (id) => (id.policies as string[]).push('1.2.3')],
  ])('writing %s throws', (_, write) => {
    expect(() => write(identity)).toThrow(TypeError)
  })

  test('I-11: what is merged into it deeply reaches neither its class nor Object.prototype', () => {
    const prototypes: object[] = []
    for (const object of [identity, identity.anchor, identity.chain[0] as object]) {
      for (let level = Object.getPrototypeOf(object); level !== Object.prototype; level = Object.getPrototypeOf(level))
        prototypes.push(level)
    }
    expect(prototypes.length).toBeGreaterThan(3)
    for (const prototype of prototypes) {
      expect(() => Object.assign(prototype, { isAdmin: true })).toThrow(TypeError)
      expect(() => Object.defineProperty(prototype, 'fingerprint', { get: () => 'x' })).toThrow(TypeError)
    }
    expect((identity as { isAdmin?: true }).isAdmin).toBeUndefined()
    expect(({} as { isAdmin?: true }).isAdmin).toBeUndefined()
  })

  test('dates are copies at every reading', () => {
    identity.notAfter.setFullYear(2099)
    expect(identity.notAfter.getUTCFullYear()).toBe(2026)
    expect(identity.notAfter).not.toBe(identity.notAfter)
  })

  test('octets are copies at every reading, and of an attribute, too', () => {
    identity.certificate.der.fill(0)
    identity.subject.rdns[0]?.[0]?.octets.fill(0)
    expect(Buffer.from(identity.certificate.der).equals(alice.certificate.der)).toBe(true)
    expect(identity.subject.get('C')).toBe('DE')
  })
})

describe('what is written of it', () => {
  test('O-06: toJSON has every field but the octets', () => {
    const json = JSON.parse(JSON.stringify(identity))
    expect(Object.keys(json).sort()).toEqual(
      [
        'anchor',
        'chain',
        'fingerprint',
        'issuer',
        'names',
        'notAfter',
        'notBefore',
        'policies',
        'publicKeyPin',
        'publicKey',
        'extendedKeyUsage',
        'serialNumber',
        'subject',
        'via',
        'x5tS256',
      ].sort(),
    )
    expect(json).toMatchObject({
      subject: 'CN=alice,OU=Dev,O=Acme\\, Inc.,C=DE',
      notAfter: '2026-11-21T12:00:00.000Z',
      names: { ...names, directory: ['CN=Alice,O=Acme'] },
      chain: [{ subject: 'CN=Test Intermediate CA' }],
      anchor: { subject: 'CN=Test Root CA', name: 'partners' },
    })
  })

  test('neither JSON nor inspect show octets or PEM', () => {
    const der = Buffer.from(alice.certificate.der)
    for (const text of [
      JSON.stringify(identity),
      inspect(identity, { depth: 12, showHidden: true }),
      inspect({ identity }, { depth: 12 }),
    ]) {
      expect(text).not.toMatch(/Uint8Array|Buffer|BEGIN CERTIFICATE|"type":"Buffer"/)
      expect(text).not.toContain(der.toString('base64').slice(40, 60))
      expect(text).not.toContain(der.toString('hex').slice(40, 80))
    }
    expect(inspect(identity)).toContain(identity.fingerprint)
  })
})

describe('principal', () => {
  test('is what resolve returned, and only then', async () => {
    const principal = Object.freeze({ id: 7 })
    const resolved = await identityOf(alice, {
      trust: pki.trust,
      resolve: async ({ subject }) => (subject.get('CN') === 'alice' ? principal : undefined),
    })
    expect(resolved.principal).toBe(principal)
    expect(resolved.fingerprint).toBe(identity.fingerprint)
  })

  test.each<[string, () => unknown]>([
    ['undefined', () => undefined],
    ['null', () => null],
    ['a promise of undefined', async () => undefined],
  ])('%s refuses', async (_, resolve) => {
    expect((await refusedBy(alice, { trust: pki.trust, resolve })).code).toBe('ERR_CLIENT_CERT_PRINCIPAL')
  })

  test.each<[string, () => unknown]>([
    [
      'an exception',
      () => {
        throw new Error('database')
      },
    ],
    ['a rejection', () => Promise.reject(new Error('database'))],
  ])('%s refuses as an error of ours, and admits nobody', async (_, resolve) => {
    const error = await refusedBy(alice, { trust: pki.trust, resolve })
    expect([error.code, error.status]).toEqual(['ERR_CLIENT_CERT_INTERNAL', 500])
  })
})

describe('names that would be something else to a careless reader', () => {
  test('I-11: __proto__, constructor and toString as names and values', async () => {
    const hostile = await of({
      subject: 'CN=__proto__,OU=constructor,O=toString',
      names: { uri: ['urn:__proto__'], dns: ['constructor'] },
    })
    expect(hostile.subject.get('CN')).toBe('__proto__')
    expect(hostile.subject.get('__proto__')).toBeUndefined()
    expect(hostile.subject.get('constructor')).toBeUndefined()
    expect(hostile.subject.all('toString')).toEqual([])
    expect(hostile.names.dns).toEqual(['constructor'])
    expect(JSON.parse(JSON.stringify(hostile)).subject).toBe('CN=__proto__,OU=constructor,O=toString')
    expect(({} as { polluted?: true }).polluted).toBeUndefined()
  })

  test.each([
    ['a comma', 'CN=x\\, O=Admin', 'x, O=Admin'],
    ['a plus', 'CN=x\\+OU=b', 'x+OU=b'],
    ['a line break', 'CN=x\\0AO=Admin', 'x\nO=Admin'],
    ['a leading hash', 'CN=\\#0401', '#0401'],
    ['outer spaces', 'CN=\\ x\\ ', ' x '],
  ])('I-04: %s in a value stays in the value', async (_, subject, value) => {
    const found = await of({ subject })
    expect(found.subject.get('CN')).toBe(value)
    expect(found.subject.get('O')).toBeUndefined()
    expect(found.subject.rdns.length).toBe(1)
  })

  test('I-04: of two common names get() tells none, all() tells both', async () => {
    for (const subject of ['CN=alice,CN=admin', 'CN=alice+CN=admin']) {
      const found = await of({ subject })
      expect(found.subject.get('CN')).toBeUndefined()
      expect([...found.subject.all('CN')].sort()).toEqual(['admin', 'alice'])
    }
  })

  test('I-05: NUL in a name makes no identity', async () => {
    const nul = rebuild(await pki.root.issue(), pki.root, {
      fields: { [field.subject]: seq(tlv(0x31, seq([6, 3, 85, 4, 3], utf8('alice\0.evil')))) },
    })
    expect(await verdict(nul, { anchors: [pki.root] })).toBe('ERR_CLIENT_CERT_MALFORMED @0')
    for (const given of [
      { dns: ['a.test\0.evil.test'] },
      { uri: ['urn:a\0b'] },
      { email: ['a@b.test\0c'] },
      { upn: ['a\0b'] },
    ]) {
      const leaf = await pki.root.issue({ names: given })
      expect(await verdict(leaf, { anchors: [pki.root] })).toBe('ERR_CLIENT_CERT_MALFORMED @0')
    }
  })
})

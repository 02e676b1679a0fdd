import { constants, generateKeyPairSync, sign } from 'node:crypto'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { createTestAuthority, type TestAuthority, type TestKeyAlgorithm } from '../../src/testing.js'
import {
  derNull,
  field,
  integer,
  noon,
  oddModulus,
  oid,
  rebuild,
  refusalOf,
  rsaPublicKey,
  seq,
  tlv,
  verdict,
} from '../support/pki.js'

// Keys take long to make where machines are busy.
jest.setTimeout(60_000)

let root: TestAuthority
let rsaRoot: TestAuthority

beforeAll(async () => {
  root = await createTestAuthority({ now: noon })
  rsaRoot = await createTestAuthority({ now: noon, keyAlgorithm: 'RSA-2048' })
})

const ALGORITHM = 'ERR_CLIENT_CERT_ALGORITHM'
const WEAK = 'ERR_CLIENT_CERT_WEAK_KEY'

describe('keys of clients and of issuers', () => {
  test.each<{ kind: TestKeyAlgorithm; denied: string | undefined }>([
    { kind: 'P-256', denied: undefined },
    { kind: 'P-384', denied: undefined },
    { kind: 'P-521', denied: undefined },
    { kind: 'Ed25519', denied: undefined },
    { kind: 'Ed448', denied: undefined },
    { kind: 'RSA-2048', denied: undefined },
    { kind: 'RSA-PSS-2048', denied: undefined },
    { kind: 'RSA-1024', denied: WEAK },
    { kind: 'secp256k1', denied: WEAK },
  ])('$kind', async ({ kind, denied }) => {
    const client = await root.issue({ keyAlgorithm: kind })
    expect(await verdict(client, { anchors: [root] })).toBe(denied ? `${denied} @0` : 'accepted')
    const authority = await root.issueAuthority({ subject: 'CN=CA', keyAlgorithm: kind })
    const under = await authority.issue({ keyAlgorithm: 'P-256' })
    const wanted = denied ? `${denied} @1` : 'accepted'
    expect(await verdict(under, { via: [authority], anchors: [root] })).toBe(wanted)
    expect(await verdict(under, { anchors: [authority] })).toBe(wanted)
  })

  test('row 23: the refusal names size, minimum and setting', async () => {
    const error = await refusalOf(await root.issue({ keyAlgorithm: 'RSA-1024' }), { anchors: [root] })
    expect(error?.help).toMatch(/^RSA 1024 bits, minimum is 2048 \(profile\.minimumRsaBits\) — re-issue/)
    const authority = await root.issueAuthority({ subject: 'CN=Weak CA', keyAlgorithm: 'RSA-1024' })
    const above = await refusalOf(await authority.issue({ keyAlgorithm: 'P-256' }), {
      via: [authority],
      anchors: [root],
    })
    expect(above?.help).toMatch(/of the issuer "CN=Weak CA"/)
  })

  test('profiles: RSA 1024 and secp256k1 where they are named, and only there', async () => {
    const small = await root.issue({ keyAlgorithm: 'RSA-1024' })
    expect(await verdict(small, { anchors: [root], profile: { minimumRsaBits: 1024 } })).toBe('accepted')
    expect(await verdict(small, { anchors: [root], profile: { minimumRsaBits: 1025 } })).toBe(`${WEAK} @0`)
    const koblitz = await root.issue({ keyAlgorithm: 'secp256k1' })
    expect(await verdict(koblitz, { anchors: [root], profile: { curves: ['1.3.132.0.10'] } })).toMatch(`${WEAK} @1`)
    expect(await verdict(koblitz, { anchors: [root], profile: { curves: ['P-256', '1.3.132.0.10'] } })).toBe('accepted')
  })

  const e3 = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }).privateKey

  test('P-07: a key with exponent 3 is refused, as client and as issuer', async () => {
    const key = { key: { pem: e3.export({ type: 'pkcs8', format: 'pem' }) as string } }
    expect(await verdict(await root.issue({ key }), { anchors: [root] })).toBe(`${WEAK} @0`)
    const authority = await root.issueAuthority({ subject: 'CN=CA', key })
    const leaf = await authority.issue({ keyAlgorithm: 'P-256' })
    expect(await verdict(leaf, { anchors: [authority] })).toBe(`${WEAK} @1`)
    expect(await verdict(leaf, { anchors: [authority], profile: { minimumRsaExponent: 3 } })).toBe('accepted')
  })

  const odd = oddModulus
  test.each<{ name: string; given: () => Uint8Array; denied: string | undefined }>([
    { name: '2048 bits, e = 65537', given: () => rsaPublicKey(odd(2048), 65537), denied: undefined },
    { name: '2047 bits', given: () => rsaPublicKey(odd(2047), 65537), denied: WEAK },
    { name: '512 bits', given: () => rsaPublicKey(odd(512), 65537), denied: WEAK },
    { name: '8192 bits', given: () => rsaPublicKey(odd(8192), 65537), denied: undefined },
    { name: '8193 bits', given: () => rsaPublicKey(odd(8193), 65537), denied: WEAK },
    { name: '16384 bits', given: () => rsaPublicKey(odd(16384), 65537), denied: WEAK },
    { name: 'e = 1', given: () => rsaPublicKey(odd(2048), 1), denied: WEAK },
    { name: 'e = 0', given: () => rsaPublicKey(odd(2048), 0), denied: WEAK },
    { name: 'e = 65535', given: () => rsaPublicKey(odd(2048), 65535), denied: WEAK },
    { name: 'e even', given: () => rsaPublicKey(odd(2048), 65538), denied: WEAK },
    { name: 'e = 2^32 - 1', given: () => rsaPublicKey(odd(2048), 0xffff_ffffn), denied: undefined },
    { name: 'e = 2^32 + 1', given: () => rsaPublicKey(odd(2048), 0x1_0000_0001n), denied: WEAK },
    { name: 'e of 2048 bits', given: () => rsaPublicKey(odd(2048), odd(2048) - 2n), denied: WEAK },
    { name: 'an even modulus', given: () => rsaPublicKey(odd(2048) - 1n, 65537), denied: WEAK },
    {
      name: 'parameters absent instead of NULL',
      given: () => rsaPublicKey(odd(2048), 65537, seq(oid('1.2.840.113549.1.1.1'))),
      denied: 'ERR_CLIENT_CERT_MALFORMED',
    },
    {
      name: 'a negative modulus',
      given: () =>
        seq(
          seq(oid('1.2.840.113549.1.1.1'), derNull),
          tlv(3, [0], seq(tlv(2, [0x80, ...new Uint8Array(255)]), integer(65537))),
        ),
      denied: 'ERR_CLIENT_CERT_MALFORMED',
    },
  ])('P-07: RSA, $name', async ({ given, denied }) => {
    expect(await withKey(given())).toBe(denied ? `${denied} @0` : 'accepted')
  })

  const edwards = (type: string, key: Uint8Array) => seq(seq(oid(type)), tlv(3, [0], key))
  const identity = Uint8Array.of(1, ...new Uint8Array(31))

  test('an Ed25519 key anybody can sign for is refused, as client and as issuer', async () => {
    const weak = edwards('1.3.101.112', identity)
    // R = A = the neutral point and S = 0: a signature over whatever it stands under, by nobody. OpenSSL 3.0 takes it, 3.5 does not.
    const forged = Uint8Array.of(...identity, ...new Uint8Array(32))
    expect(await withKey(weak)).toBe(`${WEAK} @0`)

    const authority = await root.issueAuthority({ subject: 'CN=Nobody’s CA', keyAlgorithm: 'Ed25519' })
    const issuer = rebuild(authority, root, { fields: { [field.publicKey]: weak } })
    const leaf = await authority.issue({ keyAlgorithm: 'Ed25519' })
    const forgedLeaf = rebuild(leaf, authority, { signature: () => forged })
    expect(await verdict(leaf, { via: [authority], anchors: [root] })).toBe('accepted')
    expect(await verdict(forgedLeaf, { via: [issuer], anchors: [root] })).toBe(`${WEAK} @1`)
  })

  /** The verdict over a client with this SubjectPublicKeyInfo. */
  async function withKey(publicKey: Uint8Array, profile = {}) {
    const leaf = rebuild(await root.issue(), root, { fields: { [field.publicKey]: publicKey } })
    return verdict(leaf, { anchors: [root], profile })
  }

  const ec = (parameters: Uint8Array, point: Uint8Array) =>
    seq(seq(oid('1.2.840.10045.2.1'), parameters), tlv(3, [0], point))
  const p256 = oid('1.2.840.10045.3.1.7')
  const point = Uint8Array.of(4, ...new Uint8Array(64).fill(1))

  test.each<{ name: string; given: Uint8Array; denied: string }>([
    { name: 'an unknown key type', given: seq(seq(oid('1.3.6.1.4.1.99999.9')), tlv(3, [0], [1])), denied: WEAK },
    { name: 'DSA', given: seq(seq(oid('1.2.840.10040.4.1')), tlv(3, [0], integer(5))), denied: WEAK },
    {
      name: 'X25519, which cannot sign',
      given: seq(seq(oid('1.3.101.110')), tlv(3, [0], new Uint8Array(32))),
      denied: WEAK,
    },
    { name: 'P-192', given: ec(oid('1.2.840.10045.3.1.1'), point), denied: WEAK },
    { name: 'explicit curve parameters (CVE-2020-0601)', given: ec(seq(integer(1)), point), denied: WEAK },
    { name: 'implicit curve parameters', given: ec(derNull, point), denied: WEAK },
    { name: 'the point at infinity', given: ec(p256, Uint8Array.of(0)), denied: 'ERR_CLIENT_CERT_MALFORMED' },
    {
      name: 'a hybrid point',
      given: ec(p256, Uint8Array.of(6, ...new Uint8Array(64))),
      denied: 'ERR_CLIENT_CERT_MALFORMED',
    },
    {
      name: 'a point of another size',
      given: ec(p256, Uint8Array.of(4, ...new Uint8Array(96))),
      denied: 'ERR_CLIENT_CERT_MALFORMED',
    },
    { name: 'a point that is not on its curve', given: ec(p256, point), denied: WEAK },
    {
      name: 'a compressed point without a y',
      given: ec(p256, Uint8Array.of(2, ...new Uint8Array(32).fill(0xff))),
      denied: WEAK,
    },
    {
      name: 'Ed25519 with parameters',
      given: seq(seq(oid('1.3.101.112'), derNull), tlv(3, [0], new Uint8Array(32))),
      denied: 'ERR_CLIENT_CERT_MALFORMED',
    },
    {
      name: 'Ed25519 of 33 octets',
      given: seq(seq(oid('1.3.101.112')), tlv(3, [0], new Uint8Array(33))),
      denied: 'ERR_CLIENT_CERT_MALFORMED',
    },
  ])('P-08, P-17: $name is refused and does not throw', async ({ given, denied }) => {
    expect(await withKey(given)).toBe(`${denied} @0`)
  })

  test('P-08: an issuer whose point is not on its curve verifies nothing', async () => {
    const anchor = rebuild(root, root, { fields: { [field.publicKey]: ec(p256, point) } })
    expect(await verdict(await root.issue(), { anchors: [anchor] })).toBe(`${ALGORITHM} @0`)
  })

  test('P-17: an unknown key in an anchor refuses, and does not hide another anchor of its name', async () => {
    const unknown = rebuild(root, root, {
      fields: { [field.publicKey]: seq(seq(oid('1.3.6.1.4.1.99999.9')), tlv(3, [0], [1])) },
    })
    const leaf = await root.issue()
    expect(await verdict(leaf, { anchors: [unknown] })).toBe(`${WEAK} @1`)
    expect(await verdict(leaf, { anchors: [unknown, root] })).toBe('accepted')
  })
})

describe('signature algorithms', () => {
  test.each([
    { hash: 'SHA-1' as const, denied: ALGORITHM },
    { hash: 'SHA-256' as const, denied: undefined },
    { hash: 'SHA-384' as const, denied: undefined },
    { hash: 'SHA-512' as const, denied: undefined },
  ])(
    'P-09: $hash, with RSA, RSA-PSS and ECDSA',
    async ({ hash, denied }) => {
      const pss = await createTestAuthority({ now: noon, keyAlgorithm: 'RSA-PSS-2048' })
      for (const issuer of [root, rsaRoot, pss]) {
        const leaf = await issuer.issue({ hash, keyAlgorithm: 'P-256' })
        expect(await verdict(leaf, { anchors: [issuer] })).toBe(denied ? `${denied} @0` : 'accepted')
        const authority = await issuer.issueAuthority({ subject: 'CN=CA', hash, keyAlgorithm: 'P-256' })
        expect(await verdict(await authority.issue(), { via: [authority], anchors: [issuer] })).toBe(
          denied ? `${denied} @1` : 'accepted',
        )
      }
    },
    20_000,
  )

  test('P-09: what an anchor is signed with does not matter: nobody verifies it', async () => {
    const old = await createTestAuthority({ now: noon, hash: 'SHA-1' })
    expect(await verdict(await old.issue(), { anchors: [old] })).toBe('accepted')
  })

  test('SHA-1 is accepted where a profile names it, and MD5 is no default either', async () => {
    const leaf = await rsaRoot.issue({ hash: 'SHA-1', keyAlgorithm: 'P-256' })
    expect(
      await verdict(leaf, { anchors: [rsaRoot], profile: { signatureAlgorithms: ['sha1WithRSAEncryption'] } }),
    ).toBe('accepted')
    const md5 = seq(oid('1.2.840.113549.1.1.4'), derNull)
    const signature = (tbs: Uint8Array) => sign('md5', tbs, rsaRoot.key.pem)
    const broken = rebuild(leaf, rsaRoot, { fields: { [field.algorithm]: md5 }, outerAlgorithm: md5, signature })
    expect(await verdict(broken, { anchors: [rsaRoot] })).toBe(`${ALGORITHM} @0`)
    const profile = { signatureAlgorithms: ['md5WithRSAEncryption'] }
    expect(await verdict(broken, { anchors: [rsaRoot], profile })).toBe('accepted')
  })

  const rsa256 = (parameters: Uint8Array | undefined) =>
    seq(oid('1.2.840.113549.1.1.11'), ...(parameters ? [parameters] : []))
  const ecdsa256 = (parameters: Uint8Array | undefined) =>
    seq(oid('1.2.840.10045.4.3.2'), ...(parameters ? [parameters] : []))

  test.each<{ name: string; issuer: () => TestAuthority; inner: Uint8Array; outer: Uint8Array; denied: boolean }>([
    { name: 'RSA, NULL in both', issuer: () => rsaRoot, inner: rsa256(derNull), outer: rsa256(derNull), denied: false },
    {
      name: 'RSA, absent in both',
      issuer: () => rsaRoot,
      inner: rsa256(undefined),
      outer: rsa256(undefined),
      denied: false,
    },
    {
      name: 'RSA, NULL inside, absent outside',
      issuer: () => rsaRoot,
      inner: rsa256(derNull),
      outer: rsa256(undefined),
      denied: true,
    },
    {
      name: 'RSA, absent inside, NULL outside',
      issuer: () => rsaRoot,
      inner: rsa256(undefined),
      outer: rsa256(derNull),
      denied: true,
    },
    {
      name: 'RSA, other parameters',
      issuer: () => rsaRoot,
      inner: rsa256(integer(1)),
      outer: rsa256(integer(1)),
      denied: true,
    },
    {
      name: 'ECDSA, absent',
      issuer: () => root,
      inner: ecdsa256(undefined),
      outer: ecdsa256(undefined),
      denied: false,
    },
    { name: 'ECDSA, NULL', issuer: () => root, inner: ecdsa256(derNull), outer: ecdsa256(derNull), denied: true },
    {
      name: 'SHA-384 inside, SHA-256 outside',
      issuer: () => root,
      inner: seq(oid('1.2.840.10045.4.3.3')),
      outer: ecdsa256(undefined),
      denied: true,
    },
    {
      name: 'an ECDSA identifier under an RSA key',
      issuer: () => rsaRoot,
      inner: ecdsa256(undefined),
      outer: ecdsa256(undefined),
      denied: true,
    },
    {
      name: 'an RSA identifier under an EC key',
      issuer: () => root,
      inner: rsa256(derNull),
      outer: rsa256(derNull),
      denied: true,
    },
    {
      name: 'an unknown identifier',
      issuer: () => root,
      inner: seq(oid('1.3.6.1.4.1.99999.8')),
      outer: seq(oid('1.3.6.1.4.1.99999.8')),
      denied: true,
    },
  ])('P-06: $name', async ({ issuer, inner, outer, denied }) => {
    const leaf = await issuer().issue({ keyAlgorithm: 'P-256' })
    const made = rebuild(leaf, issuer(), { fields: { [field.algorithm]: inner }, outerAlgorithm: outer })
    expect(await verdict(made, { anchors: [issuer()] })).toBe(denied ? `${ALGORITHM} @0` : 'accepted')
  })
})

describe('P-06: RSA-PSS', () => {
  const [sha1, sha256, sha384] = ['1.3.14.3.2.26', '2.16.840.1.101.3.4.2.1', '2.16.840.1.101.3.4.2.2']
  const digest = (type: string) => seq(oid(type), derNull)
  const mgf = (type: string) => seq(oid('1.2.840.113549.1.1.8'), digest(type))
  const pss = (...parameters: Uint8Array[]) => seq(oid('1.2.840.113549.1.1.10'), seq(...parameters))
  const tagged = (n: number, content: Uint8Array) => tlv(0xa0 + n, content)
  const good = pss(tagged(0, digest(sha256)), tagged(1, mgf(sha256)), tagged(2, integer(32)))

  /** The verdict over a client signed by an RSA key with these parameters, and a salt of this length. */
  async function signed(algorithm: Uint8Array, saltLength = 32, issuer = rsaRoot) {
    const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
    const signature = (tbs: Uint8Array) => sign('sha256', tbs, { key: issuer.key.pem, ...padding })
    const leaf = await issuer.issue({ keyAlgorithm: 'P-256' })
    const made = rebuild(leaf, issuer, {
      fields: { [field.algorithm]: algorithm },
      outerAlgorithm: algorithm,
      signature,
    })
    return verdict(made, { anchors: [issuer] })
  }

  test('SHA-256 throughout with a salt of its length is accepted, of an RSA key, too', async () => {
    expect(await signed(good)).toBe('accepted')
  })

  test.each<{ name: string; given: Uint8Array; salt?: number }>([
    { name: 'no parameters', given: seq(oid('1.2.840.113549.1.1.10')) },
    { name: 'NULL parameters', given: seq(oid('1.2.840.113549.1.1.10'), derNull) },
    { name: 'defaults, which are SHA-1', given: pss() },
    { name: 'SHA-1 written out', given: pss(tagged(0, digest(sha1)), tagged(1, mgf(sha1)), tagged(2, integer(20))) },
    { name: 'the mask by SHA-1', given: pss(tagged(0, digest(sha256)), tagged(2, integer(32))) },
    {
      name: 'the mask by another digest',
      given: pss(tagged(0, digest(sha256)), tagged(1, mgf(sha384)), tagged(2, integer(32))),
    },
    {
      name: 'a mask that is no MGF1',
      given: pss(tagged(0, digest(sha256)), tagged(1, seq(oid('1.2.3.4'), digest(sha256))), tagged(2, integer(32))),
    },
    { name: 'no salt', given: pss(tagged(0, digest(sha256)), tagged(1, mgf(sha256)), tagged(2, integer(0))), salt: 0 },
    {
      name: 'a short salt',
      given: pss(tagged(0, digest(sha256)), tagged(1, mgf(sha256)), tagged(2, integer(20))),
      salt: 20,
    },
    {
      name: 'a long salt',
      given: pss(tagged(0, digest(sha256)), tagged(1, mgf(sha256)), tagged(2, integer(64))),
      salt: 64,
    },
    {
      name: 'another trailer',
      given: pss(tagged(0, digest(sha256)), tagged(1, mgf(sha256)), tagged(2, integer(32)), tagged(3, integer(2))),
    },
    {
      name: 'something after them',
      given: pss(tagged(0, digest(sha256)), tagged(1, mgf(sha256)), tagged(2, integer(32)), tagged(4, integer(1))),
    },
  ])('$name is refused', async ({ given, salt }) => {
    expect(await signed(given, salt)).toBe(`${ALGORITHM} @0`)
  })

  test('what is wrong with a signature says what mends it, and no profile does where none would', async () => {
    const help = async (algorithm: Uint8Array) => {
      const leaf = await rsaRoot.issue({ keyAlgorithm: 'P-256' })
      const made = rebuild(leaf, rsaRoot, { fields: { [field.algorithm]: algorithm }, outerAlgorithm: algorithm })
      return (await refusalOf(made, { anchors: [rsaRoot] }))?.help
    }
    const salted = (length: number) =>
      pss(tagged(0, digest(sha256)), tagged(1, mgf(sha256)), tagged(2, integer(length)))
    expect(await help(salted(222))).toMatch(
      /salt is not as long as the digest — re-issue it; openssl: -sigopt rsa_pss_saltlen:digest$/,
    )
    expect(await help(seq(oid('1.2.840.113549.1.1.11'), integer(1)))).toMatch(
      /its parameters are not NULL — re-issue it$/,
    )
    expect(await help(seq(oid('1.2.840.113549.1.1.5'), derNull))).toMatch(
      /it is not accepted — re-issue it with SHA-256 or better/,
    )
  })

  test('a salt of another length than the parameters say does not verify', async () => {
    expect(await signed(good, 20)).toBe('ERR_CLIENT_CERT_SIGNATURE @0')
  })

  test('an RSA-PSS key makes no PKCS #1 v1.5 signature', async () => {
    const issuer = await createTestAuthority({ now: noon, keyAlgorithm: 'RSA-PSS-2048' })
    const rsa = seq(oid('1.2.840.113549.1.1.11'), derNull)
    const made = rebuild(await issuer.issue({ keyAlgorithm: 'P-256' }), issuer, {
      fields: { [field.algorithm]: rsa },
      outerAlgorithm: rsa,
    })
    expect(await verdict(made, { anchors: [issuer] })).toBe(`${ALGORITHM} @0`)
  })
})

import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { limits } from '../../src/limits.js'
import { createTestAuthority, createTestPki, type TestAuthority, type TestPki } from '../../src/testing.js'
import { day, type Encoded, fromNoon, type HasCertificate, noon, refusalOf, validate, verdict } from '../support/pki.js'

// Keys take long to make where machines are busy.
jest.setTimeout(60_000)

let pki: TestPki
let stranger: TestAuthority
const past = { notBefore: fromNoon(-20 * day), notAfter: fromNoon(-10 * day) }

beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  stranger = await createTestAuthority({ now: noon, subject: 'CN=Stranger' })
})

const BUDGET = 'ERR_CLIENT_CERT_BUDGET'

type Item = Encoded | HasCertificate
/** Every order of a short list. */
function orders<T>(list: readonly T[]): T[][] {
  return list.length < 2
    ? [[...list]]
    : list.flatMap((item, i) => orders(list.toSpliced(i, 1)).map((rest) => [item, ...rest]))
}

describe('what is sent along', () => {
  test('may stand in any order, be there twice, and hold junk', async () => {
    const below = await pki.intermediate.issueAuthority({ subject: 'CN=Below' })
    const leaf = await below.issue()
    const junk = { der: Uint8Array.of(0x30, 0x03, 1, 2, 3) }
    for (const via of orders<Item>([below, pki.intermediate, stranger, junk])) {
      expect(await verdict(leaf, { via, anchors: [pki.root] })).toBe('accepted')
    }
    expect(
      await verdict(leaf, { via: [below, below, pki.intermediate, leaf, pki.root, leaf], anchors: [pki.root] }),
    ).toBe('accepted')
  })

  test('is not trusted: the twin without the anchor is refused, though the root itself was sent', async () => {
    const leaf = await pki.issue()
    const via = [pki.intermediate, pki.root]
    expect(await verdict(leaf, { via, anchors: [stranger] })).toMatch('ERR_CLIENT_CERT_UNKNOWN_ISSUER')
    expect(await verdict(leaf, { via, anchors: [stranger, pki.root] })).toBe('accepted')
  })

  test('is left out where an anchor is nearer', async () => {
    const leaf = await pki.issue()
    const result = await validate(leaf, { via: [pki.intermediate], anchors: [pki.root, pki.intermediate] })
    expect(result.valid && result.path.length).toBe(2)
  })

  test('what comes back are copies: writing to them changes nothing', async () => {
    const leaf = await pki.root.issue()
    const result = await validate(leaf, { anchors: [pki.root] })
    if (result.valid) for (const der of result.path) der.fill(0)
    expect(await verdict(leaf, { anchors: [pki.root] })).toBe('accepted')
  })
})

describe('P-11: cross-signs', () => {
  test('an expired root and its renewal, one name and one key, in either order', async () => {
    const subject = 'CN=Corp Root'
    const expired = await createTestAuthority({ now: noon, subject, ...past })
    const renewed = await createTestAuthority({ now: noon, subject, key: expired })
    const leaf = await renewed.issue()
    for (const anchors of orders([expired, renewed])) expect(await verdict(leaf, { anchors })).toBe('accepted')
    expect(await verdict(leaf, { anchors: [expired] })).toBe('ERR_CLIENT_CERT_EXPIRED @1')
  })

  test('an expired cross-certificate does not hide the good path, in any order', async () => {
    const partner = await createTestAuthority({ now: noon, subject: 'CN=Partner Root' })
    const authority = await partner.issueAuthority({ subject: 'CN=Partner Issuing' })
    const expired = await pki.root.crossSign(authority, past)
    const leaf = await authority.issue()
    for (const via of orders<Item>([expired, authority])) {
      for (const anchors of orders([pki.root, partner])) expect(await verdict(leaf, { via, anchors })).toBe('accepted')
    }
    expect(await verdict(leaf, { via: [expired], anchors: [pki.root, partner] })).toBe('ERR_CLIENT_CERT_EXPIRED @1')
  })

  test('every broken variant of an issuer beside the good one does not hide it', async () => {
    const authority = await pki.root.issueAuthority({ subject: 'CN=Issuing' })
    const double = await stranger.issueAuthority({ subject: 'CN=Issuing' })
    const broken = [
      await pki.root.crossSign(authority, past),
      await pki.root.crossSign(authority, { basicConstraints: { ca: false } }),
      await pki.root.crossSign(authority, { keyUsage: ['digitalSignature'] }),
      await pki.root.crossSign(authority, { extendedKeyUsage: ['serverAuth'] }),
      await pki.root.crossSign(authority, { signWith: stranger }),
      await pki.root.crossSign(authority, { hash: 'SHA-1' }),
      await pki.root.crossSign(authority, {
        extensions: [{ oid: '1.2.3.4', critical: true, value: Uint8Array.of(5, 0) }],
      }),
      double.certificate,
    ]
    const leaf = await authority.issue()
    expect(await verdict(leaf, { via: [...broken, authority], anchors: [pki.root] })).toBe('accepted')
    expect(await verdict(leaf, { via: broken, anchors: [pki.root] })).toMatch(/^ERR_CLIENT_CERT_/)
  })

  test('a loop A ↔ B ends, with an anchor above it and without', async () => {
    const a = await createTestAuthority({ now: noon, subject: 'CN=A' })
    const b = await createTestAuthority({ now: noon, subject: 'CN=B' })
    const via = [await a.crossSign(b), await b.crossSign(a)]
    const leaf = await a.issue()
    expect(await verdict(leaf, { via, anchors: [stranger] })).toMatch('ERR_CLIENT_CERT_UNKNOWN_ISSUER')
    expect(await verdict(leaf, { via, anchors: [b] })).toBe('accepted')
    expect(await verdict(leaf, { via: [...via, await pki.root.crossSign(b)], anchors: [pki.root] })).toBe('accepted')
  })

  test('one key under two names is no loop', async () => {
    const first = await pki.root.issueAuthority({ subject: 'CN=First' })
    const second = await first.issueAuthority({ subject: 'CN=Second', key: first })
    expect(await verdict(await second.issue(), { via: [second, first], anchors: [pki.root] })).toBe('accepted')
  })

  test('P-12: a mesh of twelve that all sign each other ends in bounded work, and its way out is found', async () => {
    const members: TestAuthority[] = []
    for (let i = 0; i < 12; i++) members.push(await createTestAuthority({ now: noon, subject: `CN=M${i}` }))
    const via: Encoded[] = []
    for (const issuer of members)
      for (const subject of members) if (issuer !== subject) via.push(await issuer.crossSign(subject))
    expect(via.length).toBe(132)
    const [first] = members as [TestAuthority]
    const leaf = await first.issue()
    expect((await refusalOf(leaf, { via, anchors: [stranger] }))?.code).toBe('ERR_CLIENT_CERT_UNKNOWN_ISSUER')
    for (const order of [via, via.toReversed()]) {
      expect(await verdict(leaf, { via: order, anchors: [members.at(-1) as TestAuthority] })).toBe('accepted')
    }
    // The shortest way home is tried first: nobody's budget ends before it.
    const home = await stranger.crossSign(first)
    expect(await verdict(leaf, { via: [...via, home], anchors: [stranger] })).toBe('accepted')
  })

  test.each([
    ['one name, one key', 'CN=I', true],
    ['one name, distinct keys', 'CN=I', false],
    ['distinct names, distinct keys', undefined, false],
  ] as const)('P-12: a hundred intermediates, %s, end in bounded work', async (_, subject, sameKey) => {
    const above: TestAuthority[] = [await createTestAuthority({ subject: 'CN=I', now: noon })]
    for (let i = 1; i < 100; i++) {
      const key = sameKey ? { key: above[0] as TestAuthority } : {}
      above.push(await (above.at(-1) as TestAuthority).issueAuthority({ subject: subject ?? `CN=I ${i}`, ...key }))
    }
    const leaf = await (above.at(-1) as TestAuthority).issue()
    const error = await refusalOf(leaf, { via: above.toReversed(), anchors: [stranger] })
    expect([BUDGET, 'ERR_CLIENT_CERT_UNKNOWN_ISSUER']).toContain(error?.code)
  })
})

describe('budgets: each is reached by one step more than it allows', () => {
  test.each([
    { name: 'maxSignatures', enough: 2, says: /stopped at 1 signatures \(profile\.maxSignatures\)/ },
    { name: 'maxBuildSteps', enough: 2, says: /stopped at 1 candidate issuers \(profile\.maxBuildSteps\)/ },
    { name: 'maxIntermediates', enough: 1, says: /stopped at 0 intermediates \(profile\.maxIntermediates\)/ },
  ])('$name', async ({ name, enough, says }) => {
    const leaf = await pki.issue()
    const situation = (value: number) => ({ via: [pki.intermediate], anchors: [pki.root], profile: { [name]: value } })
    expect(await verdict(leaf, situation(enough))).toBe('accepted')
    const error = await refusalOf(leaf, situation(enough - 1))
    expect(error?.code).toBe(BUDGET)
    expect(error?.help).toMatch(says)
  })

  test('ten intermediates by default, not eleven; self-issued ones do not count', async () => {
    const line = [await pki.root.issueAuthority({ subject: 'CN=1' })]
    while (line.length < limits.intermediates + 1) {
      line.push(await (line.at(-1) as TestAuthority).issueAuthority({ subject: `CN=${line.length + 1}` }))
    }
    const of = async (count: number) =>
      verdict(await (line[count - 1] as TestAuthority).issue(), { via: line, anchors: [pki.root] })
    expect(await of(limits.intermediates)).toBe('accepted')
    expect(await of(limits.intermediates + 1)).toBe(BUDGET)
    const renewed = await (line[9] as TestAuthority).issueAuthority({ subject: 'CN=10' })
    expect(await verdict(await renewed.issue(), { via: [...line, renewed], anchors: [pki.root] })).toBe('accepted')
  })

  test('P-12: signatures of namesakes are bounded, with nothing but defaults', async () => {
    const bare = { omit: ['2.5.29.14', '2.5.29.35'] }
    const crowd: TestAuthority[] = []
    for (let i = 0; i < 40; i++) crowd.push(await pki.root.issueAuthority({ subject: 'CN=Crowd', ...bare }))
    const leaf = await stranger.issue(bare)
    const lost = await (await createTestAuthority({ now: noon, subject: 'CN=Crowd' })).issue(bare)
    const error = await refusalOf(lost, { via: crowd, anchors: [pki.root] })
    expect(error?.detail).toEqual({ limit: 'signatures (profile.maxSignatures)', maximum: limits.signatures })
    expect(await verdict(leaf, { via: crowd, anchors: [stranger] })).toBe('accepted')
  })

  test('running out proves nothing: it is never the reason where a path was found before', async () => {
    const leaf = await pki.issue()
    const crowd: Encoded[] = []
    for (let i = 0; i < 20; i++)
      crowd.push((await stranger.issueAuthority({ subject: 'CN=Test Intermediate CA' })).certificate)
    expect(
      await verdict(leaf, {
        via: [...crowd, pki.intermediate],
        anchors: [pki.root, stranger],
        profile: { maxSignatures: 2 },
      }),
    ).toBe('accepted')
  })
})

describe('which reason is reported, of several paths that failed', () => {
  test('what was wrong on the path that another key did not break', async () => {
    const leaf = await pki.root.issue({ ...past })
    const double = await createTestAuthority({ now: noon, subject: pki.root.subjectDer })
    for (const anchors of orders([double, pki.root]))
      expect(await verdict(leaf, { anchors })).toBe('ERR_CLIENT_CERT_EXPIRED @0')
    expect(await verdict(leaf, { anchors: [double] })).toBe('ERR_CLIENT_CERT_SIGNATURE @0')
  })

  test('the reason nearest to the end entity: it is what the client can mend', async () => {
    const authority = await pki.root.issueAuthority({ subject: 'CN=Issuing' })
    const expired = await pki.root.crossSign(authority, past)
    const leaf = await authority.issue({ extendedKeyUsage: ['serverAuth'] })
    for (const via of orders<Item>([expired, authority])) {
      expect(await verdict(leaf, { via, anchors: [pki.root] })).toBe('ERR_CLIENT_CERT_KEY_USAGE @0')
    }
  })

  test('an algorithm that is not accepted says more than a wrong key, and less than anything else', async () => {
    const authority = await pki.root.issueAuthority({ subject: 'CN=Issuing' })
    const sha1 = await pki.root.crossSign(authority, { hash: 'SHA-1' })
    const forged = await pki.root.crossSign(authority, { signWith: stranger })
    const leaf = await authority.issue()
    for (const via of orders<Item>([sha1, forged])) {
      expect(await verdict(leaf, { via, anchors: [pki.root] })).toBe('ERR_CLIENT_CERT_ALGORITHM @1')
      expect(
        await verdict(leaf, { via: [...via, await pki.root.crossSign(authority, past)], anchors: [pki.root] }),
      ).toBe('ERR_CLIENT_CERT_EXPIRED @1')
    }
  })

  test('a path that is too long says less than a path that failed for a reason', async () => {
    const leaf = await pki.issue(past)
    const around = await pki.root.crossSign(pki.root, { subject: pki.root.subjectDer })
    const profile = { maxIntermediates: 1 }
    expect(await verdict(leaf, { via: [pki.intermediate, around], anchors: [pki.root], profile })).toBe(
      'ERR_CLIENT_CERT_EXPIRED @0',
    )
  })
})

describe('input', () => {
  test('what is no certificate is malformed, and nothing throws', async () => {
    for (const der of [
      new Uint8Array(0),
      Uint8Array.of(0x30),
      Buffer.from('not DER'),
      new Uint8Array(limits.certificateBytes + 1),
    ]) {
      expect(await verdict({ der }, { anchors: [pki.root] })).toBe('ERR_CLIENT_CERT_MALFORMED @0')
    }
  })

  test('an issuer that cannot be read is the reason where the path is missing it, and only there', async () => {
    const leaf = await pki.issue()
    const broken = { der: Uint8Array.from(pki.intermediate.certificate.der).fill(0, 4, 8) }
    expect(await verdict(leaf, { via: [broken], anchors: [pki.root] })).toBe('ERR_CLIENT_CERT_MALFORMED @1')
    expect(await verdict(leaf, { via: [broken, pki.intermediate], anchors: [pki.root] })).toBe('accepted')
    const expired = await pki.issue({ ...past })
    expect(await verdict(expired, { via: [broken, pki.intermediate], anchors: [pki.root] })).toBe(
      'ERR_CLIENT_CERT_EXPIRED @0',
    )
  })

  test('an anchor whose octets are overwritten in place is read anew', async () => {
    const leaf = await pki.root.issue()
    const anchor = Uint8Array.from(pki.root.certificate.der)
    expect(await verdict(leaf, { anchors: [{ der: anchor }] })).toBe('accepted')
    expect(await verdict(leaf, { anchors: [{ der: anchor }] })).toBe('accepted')
    anchor.fill(0)
    expect(await verdict(leaf, { anchors: [{ der: anchor }] })).toMatch(/^ERR_CLIENT_CERT_MALFORMED/)
  })

  test('no anchors, and unknown options, are mistakes of the caller', async () => {
    const leaf = await pki.root.issue()
    await expect(validate(leaf, { anchors: [] })).rejects.toThrow(/trustAnchors is empty/)
    const misspelt = { anchors: [pki.root], profile: { requireExtendedKeyUsag: true } } as never
    await expect(validate(leaf, misspelt)).rejects.toThrow(
      /unknown option "requireExtendedKeyUsag"\. Did you mean "requireExtendedKeyUsage"\?/,
    )
  })
})

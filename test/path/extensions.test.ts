import { beforeAll, describe, expect, test } from '@jest/globals'
import { createTestAuthority, type TestAuthority } from '../../src/testing.js'
import { derNull, extension, ia5, noon, oid, rebuild, refusalOf, seq, tlv, utf8, verdict } from '../support/pki.js'

let root: TestAuthority
beforeAll(async () => {
  root = await createTestAuthority({ now: noon })
})

const EXTENSION = 'ERR_CLIENT_CERT_EXTENSION'
const KEY_USAGE = 'ERR_CLIENT_CERT_KEY_USAGE'

interface Given {
  oid: string
  critical?: boolean
  value: Uint8Array
}

/** The verdicts with this extension in the leaf, in an intermediate, and in the anchor, under the same root otherwise. */
async function atEachDepth(given: Given, profile = {}) {
  const extensions = [given]
  const leaf = await root.issue({ extensions })
  const authority = await root.issueAuthority({ subject: 'CN=CA', extensions })
  const under = await authority.issue()
  return [
    await verdict(leaf, { anchors: [root], profile }),
    await verdict(under, { via: [authority], anchors: [root], profile }),
    await verdict(under, { anchors: [authority], profile }),
  ]
}

const everywhere = (code: string | undefined) =>
  code ? [`${code} @0`, `${code} @1`, `${code} @1`] : ['accepted', 'accepted', 'accepted']

describe('P-04: extendedKeyUsage, along the whole path', () => {
  const purposes = {
    absent: false,
    client: ['clientAuth'],
    'client and server': ['serverAuth', 'clientAuth'],
    'client and unknown': ['1.3.6.1.4.1.99999.1', 'clientAuth'],
    any: ['any'],
    'any and server': ['any', 'serverAuth'],
    server: ['serverAuth'],
    unknown: ['1.3.6.1.4.1.99999.1'],
    'a longer identifier that begins like clientAuth': ['1.3.6.1.5.5.7.3.2.1'],
  } as const
  type Purpose = keyof typeof purposes
  const ofLeaf: Purpose[] = ['client', 'client and server', 'client and unknown']
  const ofIssuer: Purpose[] = [...ofLeaf, 'absent', 'any', 'any and server']
  const all = Object.keys(purposes) as Purpose[]

  const usage = (purpose: Purpose, critical: boolean) => {
    const list = purposes[purpose]
    const names: Record<string, string> = {
      clientAuth: '1.3.6.1.5.5.7.3.2',
      serverAuth: '1.3.6.1.5.5.7.3.1',
      any: '2.5.29.37.0',
    }
    return list === false
      ? { extendedKeyUsage: false as const }
      : { extensions: [{ oid: '2.5.29.37', critical, value: seq(...list.map((each) => oid(names[each] ?? each))) }] }
  }

  describe.each([false, true])('critical: %s', (critical) => {
    test.each(all)('a leaf with %s', async (purpose) => {
      const leaf = await root.issue(usage(purpose, critical))
      expect(await verdict(leaf, { anchors: [root] })).toBe(ofLeaf.includes(purpose) ? 'accepted' : `${KEY_USAGE} @0`)
    })

    test.each(all)('an issuer with %s, as intermediate and as anchor, over each leaf', async (purpose) => {
      const authority = await root.issueAuthority({ subject: 'CN=CA', ...usage(purpose, critical) })
      const passes = ofIssuer.includes(purpose)
      for (const leafPurpose of ['client', 'server', 'absent'] as const) {
        const leaf = await authority.issue(usage(leafPurpose, false))
        const wanted = !passes ? `${KEY_USAGE} @1` : leafPurpose === 'client' ? 'accepted' : `${KEY_USAGE} @0`
        expect(await verdict(leaf, { via: [authority], anchors: [root] })).toBe(wanted)
        expect(await verdict(leaf, { anchors: [authority] })).toBe(wanted)
      }
    })
  })

  test('an anchor made for servers hides behind no intermediate that is not', async () => {
    const servers = await createTestAuthority({ now: noon, extendedKeyUsage: ['serverAuth'] })
    const authority = await servers.issueAuthority({ extendedKeyUsage: ['clientAuth'] })
    expect(await verdict(await authority.issue(), { via: [authority], anchors: [servers] })).toBe(`${KEY_USAGE} @2`)
  })

  test('what profiles change: an absent one admitted, another purpose asked for, none asked for', async () => {
    const leaf = async (extendedKeyUsage: readonly string[] | false) => root.issue({ extendedKeyUsage })
    const situation = (profile: object) => ({ anchors: [root], profile })
    const absent = await leaf(false)
    expect(await verdict(absent, situation({ requireExtendedKeyUsage: false }))).toBe('accepted')
    expect(await verdict(await leaf(['serverAuth']), situation({ requireExtendedKeyUsage: false }))).toBe(
      `${KEY_USAGE} @0`,
    )
    expect(await verdict(await leaf(['any']), situation({ requireExtendedKeyUsage: false }))).toBe(`${KEY_USAGE} @0`)
    expect(await verdict(await leaf(['serverAuth']), situation({ extendedKeyUsage: '1.3.6.1.5.5.7.3.1' }))).toBe(
      'accepted',
    )
    expect(await verdict(await leaf(['clientAuth']), situation({ extendedKeyUsage: '1.3.6.1.5.5.7.3.1' }))).toBe(
      `${KEY_USAGE} @0`,
    )
    expect(await verdict(absent, situation({ extendedKeyUsage: 'any' }))).toBe('accepted')
  })

  test('an empty list, which says nothing, is malformed', async () => {
    const leaf = await root.issue({ extensions: [{ oid: '2.5.29.37', value: seq() }] })
    expect(await verdict(leaf, { anchors: [root] })).toBe('ERR_CLIENT_CERT_MALFORMED @0')
  })
})

describe('P-05: critical and unknown extensions at each depth', () => {
  const unknown = '1.3.6.1.4.1.99999.7'

  test('unknown and not critical is ignored; unknown and critical is refused', async () => {
    expect(await atEachDepth({ oid: unknown, value: derNull })).toEqual(everywhere(undefined))
    expect(await atEachDepth({ oid: unknown, critical: true, value: derNull })).toEqual(everywhere(EXTENSION))
  })

  test('unknown and not critical may hold what is not DER', async () => {
    expect(await atEachDepth({ oid: unknown, value: Uint8Array.of(0xff, 0xff) })).toEqual(everywhere(undefined))
  })

  test.each<[string, Uint8Array]>([
    ['authorityInfoAccess', seq(seq(oid('1.3.6.1.5.5.7.48.1'), ia5(0x86, 'http://ocsp.test/')))],
    ['issuerAltName', seq(ia5(0x82, 'ca.test'))],
    ['freshestCRL', seq(seq(tlv(0xa0, tlv(0xa0, ia5(0x86, 'http://crl.test/')))))],
  ])(
    '%s, which RFC 5280 forbids to be critical, is refused where it is and read where it is not',
    async (name, value) => {
      const type = { authorityInfoAccess: '1.3.6.1.5.5.7.1.1', issuerAltName: '2.5.29.18', freshestCRL: '2.5.29.46' }[
        name
      ] as string
      expect(await atEachDepth({ oid: type, value })).toEqual(everywhere(undefined))
      expect(await atEachDepth({ oid: type, critical: true, value })).toEqual(everywhere(EXTENSION))
    },
  )

  test('cRLDistributionPoints may be critical', async () => {
    const value = seq(seq(tlv(0xa0, tlv(0xa0, ia5(0x86, 'http://crl.test/')))))
    expect(await atEachDepth({ oid: '2.5.29.31', critical: true, value })).toEqual(everywhere(undefined))
  })

  test('an extension that occurs twice is malformed, known or not', async () => {
    const leaf = await root.issue()
    const authority = await root.issueAuthority({ subject: 'CN=CA' })
    const under = await authority.issue()
    for (const again of [
      extension('2.5.29.37', false, seq(oid('1.3.6.1.5.5.7.3.2'))),
      extension(unknown, false, derNull),
    ]) {
      const twice = (list: Uint8Array[]) => [...list, again, again]
      expect(await verdict(rebuild(leaf, root, { extensions: twice }), { anchors: [root] })).toBe(
        'ERR_CLIENT_CERT_MALFORMED @0',
      )
      // An intermediate that cannot be read is passed over, and named where the path is missing it; an anchor is the caller's mistake.
      const broken = rebuild(authority, root, { extensions: twice })
      expect(await verdict(under, { via: [broken], anchors: [root] })).toBe('ERR_CLIENT_CERT_MALFORMED @1')
      expect(await verdict(under, { anchors: [broken] })).toBe('ERR_CLIENT_CERT_MALFORMED')
      const once = (list: Uint8Array[]) => [
        ...list.filter((each) => !Buffer.from(each).includes(Buffer.from(oid('2.5.29.37')))),
        again,
      ]
      expect(await verdict(rebuild(authority, root, { extensions: once }), { anchors: [root] })).not.toMatch(
        'MALFORMED',
      )
    }
  })

  test('a known extension that does not decode is malformed, critical or not', async () => {
    for (const critical of [false, true]) {
      const leaf = await root.issue({ extensions: [{ oid: '2.5.29.15', critical, value: utf8('x') }] })
      expect(await verdict(leaf, { anchors: [root] })).toBe('ERR_CLIENT_CERT_MALFORMED @0')
    }
  })

  test('critical FALSE written out is not DER', async () => {
    const leaf = await root.issue()
    const written = seq(oid(unknown), [1, 1, 0], tlv(4, derNull))
    const plain = extension(unknown, false, derNull)
    const withLast = (last: Uint8Array) => rebuild(leaf, root, { extensions: (list) => [...list, last] })
    expect(await verdict(withLast(written), { anchors: [root] })).toBe('ERR_CLIENT_CERT_MALFORMED @0')
    expect(await verdict(withLast(plain), { anchors: [root] })).toBe('accepted')
  })

  test('the refusal names the extension and whether it was critical', async () => {
    const leaf = await root.issue({ extensions: [{ oid: unknown, critical: true, value: derNull }] })
    const error = await refusalOf(leaf, { anchors: [root] })
    expect(error?.detail).toEqual({ subject: 'CN=alice', oid: unknown, critical: true, reason: 'it is not known here' })
    expect(error?.help).toMatch(
      /"CN=alice" has the critical extension 1\.3\.6\.1\.4\.1\.99999\.7: it is not known here — issue it without/,
    )
  })
})

describe('critical EKU, SAN and policies are processed', () => {
  test('a critical SAN with an empty subject', async () => {
    const leaf = await root.issue({ subject: '', names: { dns: ['a.test'] } })
    expect(await verdict(leaf, { anchors: [root] })).toBe('accepted')
    const lax = await root.issue({ subject: '', names: { dns: ['a.test'] }, criticalSan: false })
    expect(await verdict(lax, { anchors: [root] })).toBe('ERR_CLIENT_CERT_MALFORMED @0')
  })

  test('certificatePolicies, critical or not, while no policy is required', async () => {
    const value = seq(seq(oid('1.3.6.1.4.1.99999.2')))
    for (const critical of [false, true]) {
      expect(await atEachDepth({ oid: '2.5.29.32', critical, value })).toEqual(everywhere(undefined))
    }
  })

  test('§6.1.4 (a): an intermediate that maps anyPolicy is refused; one that maps others is not', async () => {
    const mapping = async (from: string, to: string, critical: boolean) => {
      const extensions = [{ oid: '2.5.29.33', critical, value: seq(seq(oid(from), oid(to))) }]
      const authority = await root.issueAuthority({ subject: 'CN=CA', extensions })
      return verdict(await authority.issue(), { via: [authority], anchors: [root] })
    }
    const [any, some, other] = ['2.5.29.32.0', '1.3.6.1.4.1.99999.2', '1.3.6.1.4.1.99999.3']
    for (const critical of [false, true]) {
      expect(await mapping(some, other, critical)).toBe('accepted')
      expect(await mapping(any, other, critical)).toBe(`${EXTENSION} @1`)
      expect(await mapping(some, any, critical)).toBe(`${EXTENSION} @1`)
    }
  })
})

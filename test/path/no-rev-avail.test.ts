import { beforeAll, describe, expect, test } from '@jest/globals'
import { createTestAuthority, type IssueOptions, type TestAuthority, type TestExtension } from '../../src/testing.js'
import { cRLDistributionPoints, freshestCRL } from '../support/crl-forge.js'
import { oid, sequence, uri } from '../support/path-der.js'
import { derNull, noon, refusalOf, tlv, verdict } from '../support/pki.js'

/** RFC 9608 §3: "If any of the above are violated in a certificate, then the relying party MUST consider the certificate invalid". */
let root: TestAuthority
beforeAll(async () => {
  root = await createTestAuthority({ now: noon })
})

const noRevAvail: TestExtension = { oid: '2.5.29.56', value: derNull }
const at = { fullName: [uri('http://crl.test/')] }
const access = (...methods: string[]): TestExtension => ({
  oid: '1.3.6.1.5.5.7.1.1',
  value: sequence(...methods.map((method) => sequence(oid(method), uri('http://ca.test/')))),
})
const [ocsp, caIssuers] = ['1.3.6.1.5.5.7.48.1', '1.3.6.1.5.5.7.48.2']
const leafWith = (...extensions: TestExtension[]) => root.issue({ extensions })

describe('noRevAvail', () => {
  test('alone, and with what says nothing of revocation', async () => {
    expect(await verdict(await leafWith(noRevAvail), { anchors: [root] })).toBe('accepted')
    expect(await verdict(await leafWith(noRevAvail, access(caIssuers)), { anchors: [root] })).toBe('accepted')
    const unbound = await root.issue({ extensions: [noRevAvail], basicConstraints: false })
    expect(await verdict(unbound, { anchors: [root] })).toBe('accepted')
  })

  test.each<[string, TestExtension]>([
    ['cRLDistributionPoints', cRLDistributionPoints(at)],
    ['freshestCRL', freshestCRL(at)],
    ['an OCSP responder in authorityInfoAccess', access(caIssuers, ocsp)],
  ])('contradicts %s, whichever stands first; each alone is accepted', async (what, other) => {
    for (const extensions of [
      [noRevAvail, other],
      [other, noRevAvail],
    ]) {
      const error = await refusalOf(await leafWith(...extensions), { anchors: [root] })
      expect([error?.code, error?.depth]).toEqual(['ERR_CLIENT_CERT_EXTENSION', 0])
      expect(error?.help).toBe(
        `"CN=alice" has the extension 2.5.29.56: noRevAvail contradicts ${what} (RFC 9608 §3) — issue it without`,
      )
    }
    expect(await verdict(await leafWith(other), { anchors: [root] })).toBe('accepted')
  })

  test('contradicts a CA: as intermediate, as anchor, and as end entity', async () => {
    const chain = async (extensions: TestExtension[]) => {
      const authority = await root.issueAuthority({ subject: 'CN=CA', extensions })
      const leaf = await authority.issue()
      const profile = { allowCaAsClient: true, extendedKeyUsage: 'any' as const, requireExtendedKeyUsage: false }
      return [
        await verdict(leaf, { via: [authority], anchors: [root] }),
        await verdict(leaf, { anchors: [authority] }),
        await verdict(authority, { anchors: [root], profile }),
      ]
    }
    const refused = 'ERR_CLIENT_CERT_EXTENSION'
    expect(await chain([noRevAvail])).toEqual([`${refused} @1`, `${refused} @1`, `${refused} @0`])
    expect(await chain([])).toEqual(['accepted', 'accepted', 'accepted'])
  })

  test('is NULL and not critical', async () => {
    const odd: IssueOptions[] = [
      { extensions: [{ ...noRevAvail, value: tlv(4) }] },
      { extensions: [{ ...noRevAvail, critical: true }] },
    ]
    const codes = ['ERR_CLIENT_CERT_MALFORMED @0', 'ERR_CLIENT_CERT_EXTENSION @0']
    for (const [i, options] of odd.entries()) {
      expect(await verdict(await root.issue(options), { anchors: [root] })).toBe(codes[i])
    }
  })
})

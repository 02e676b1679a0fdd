/** What RFC 5280 §4 asks of those who issue and §6 of nobody: refused where the profile asks for it, and accepted where it does not. */
import { describe, expect, test } from '@jest/globals'
import type { PathProfile } from '../../src/path/profile.js'
import { createTestAuthority } from '../../src/testing.js'
import {
  basicConstraints,
  dns,
  type Extension,
  id,
  inhibitAnyPolicy,
  ip,
  keyUsage,
  nameConstraints,
  policyConstraints,
  subjectAltName,
} from '../support/path-der.js'
import {
  type Forged,
  forge,
  forgePath,
  type Key,
  nameOf,
  noon,
  type Plan,
  poolKey,
  pureKey,
  validate,
  verdict,
} from '../support/path-forge.js'

const root = forge({ subject: 'Root', key: poolKey(0) })

/** The verdicts with the switch and without it. */
async function both(asked: Partial<PathProfile>, leaf: Forged, via: readonly Forged[] = [], anchor = root) {
  return [await verdict(leaf, via, [anchor], asked), await verdict(leaf, via, [anchor])]
}

const asFirst = (reason: string) => [`EXTENSION: ${reason}`, 'accepted']
const untouched = ['accepted', 'accepted']

describe('profile.requireKeyIdentifiers (§4.2.1.1, §4.2.1.2)', () => {
  const asked = { requireKeyIdentifiers: true }
  const noIssuer = asFirst('authorityKeyIdentifier is missing (profile.requireKeyIdentifiers)')
  const noSubject = asFirst('subjectKeyIdentifier is missing (profile.requireKeyIdentifiers)')
  const through = async (ca: Plan, leaf: Plan = {}) => {
    const made = forgePath(root, { ca: true, subject: 'CA', key: poolKey(1), ...ca }, { key: poolKey(2), ...leaf })
    return both(asked, made[1] as Forged, made.slice(0, 1))
  }

  test('a path of which every certificate has them is accepted', async () => {
    expect(await through({})).toEqual(untouched)
  })

  test('a client or an intermediate that does not say which key signed it is refused', async () => {
    expect(await through({}, { omit: [id.authorityKeyIdentifier] })).toEqual(noIssuer)
    expect(await through({ omit: [id.authorityKeyIdentifier] })).toEqual(noIssuer)
  })

  test('a CA that does not say which key is its own is refused; a client need not say it', async () => {
    expect(await through({ omit: [id.subjectKeyIdentifier] })).toEqual(noSubject)
    expect(await through({}, { omit: [id.subjectKeyIdentifier] })).toEqual(untouched)
  })

  test('an anchor that signed itself need not name the key that signed it, under whatever issuer’s name', async () => {
    const key = poolKey(3)
    const omit = [id.authorityKeyIdentifier]
    const selfIssued = forge({ subject: 'Anchor', key, omit })
    const elsewhere = { ...root, subject: nameOf('Elsewhere'), key }
    const otherName = forge({ ca: true, subject: 'Anchor', key, issuer: elsewhere, omit })
    const crossSigned = forge({ ca: true, subject: 'Anchor', key, issuer: root, omit })
    for (const anchor of [selfIssued, otherName]) {
      expect(await both(asked, forge({ issuer: anchor }), [], anchor)).toEqual(untouched)
    }
    expect(await both(asked, forge({ issuer: crossSigned }), [], crossSigned)).toEqual(noIssuer)
  })

  test('the operator is told to issue it with one', async () => {
    const result = await validate(forge({ issuer: root, omit: [id.authorityKeyIdentifier] }), [], [root], asked)
    expect(result.valid ? '' : result.error.help).toBe(
      '"CN=alice": authorityKeyIdentifier is missing (profile.requireKeyIdentifiers) — issue it with one',
    )
  })
})

describe('profile.requireConformingCas', () => {
  const asked = { requireConformingCas: true }
  const uncritical = (given: Extension): Extension => ({ ...given, critical: false })
  const critical = (given: Extension): Extension => ({ ...given, critical: true })

  test.each<[name: string, given: Extension]>([
    ['basicConstraints', basicConstraints(true)],
    ['nameConstraints', nameConstraints({ permitted: [dns('example')] })],
    ['policyConstraints', policyConstraints({ requireExplicit: 9 })],
    ['inhibitAnyPolicy', inhibitAnyPolicy(9)],
  ])('%s of an intermediate and of an anchor has to be critical', async (name, given) => {
    const wanted = asFirst(`${name} is not critical (profile.requireConformingCas)`)
    for (const [written, verdicts] of [
      [critical(given), untouched],
      [uncritical(given), wanted],
    ] as const) {
      const ca = forge({ ca: true, subject: 'CA', issuer: root, key: poolKey(1), extensions: [written] })
      expect(await both(asked, forge({ issuer: ca }), [ca])).toEqual(verdicts)
      expect(await both(asked, forge({ issuer: ca }), [], ca)).toEqual(verdicts)
    }
  })

  test('basicConstraints of a client need not be critical', async () => {
    const leaf = forge({ issuer: root, extensions: [uncritical(basicConstraints(false))] })
    expect(await both(asked, leaf)).toEqual(untouched)
  })

  const notPositive = ['MALFORMED: serialNumber is not positive (profile.requireConformingCas)', 'accepted']

  test.each([
    { serial: 0, wanted: notPositive },
    { serial: 1, wanted: untouched },
    { serial: 128, wanted: untouched },
  ])('$serial as the serial number of a client, of an intermediate or of an anchor', async ({ serial, wanted }) => {
    const ca = forge({ ca: true, subject: 'CA', issuer: root, key: poolKey(1), serial })
    expect(await both(asked, forge({ issuer: root, serial }))).toEqual(wanted)
    expect(await both(asked, forge({ issuer: ca }), [ca])).toEqual(wanted)
    expect(await both(asked, forge({ issuer: ca }), [], ca)).toEqual(wanted)
  })

  test('a negative serial number is refused', async () => {
    const authority = await createTestAuthority({ now: noon })
    const trusted = { der: authority.certificate.der } as Forged
    const issued = async (serialNumber: string) =>
      both(asked, { der: (await authority.issue({ serialNumber })).certificate.der } as Forged, [], trusted)
    expect(await issued('-80')).toEqual(notPositive)
    expect(await issued('-01')).toEqual(notPositive)
    expect(await issued('0080')).toEqual(untouched)
  })

  test.each((['ed25519', 'ed448', 'ml-dsa-44'] as const).filter((type) => pureKey(type) !== undefined))(
    'a key that can do nothing but sign (%s) may have no keyUsage but for signatures',
    async (type) => {
      const key = pureKey(type) as Key
      const used = (usages: number, of: Key = key) =>
        both(asked, forge({ issuer: root, key: of, extensions: [keyUsage(usages)] }))
      const name = type.replace('ed', 'Ed').replace('ml-dsa', 'ML-DSA')
      const refused = asFirst(
        `keyUsage lets a key of type ${name} encrypt or agree on keys (profile.requireConformingCas)`,
      )
      expect(await used(0x80)).toEqual(untouched)
      expect(await used(0xc0)).toEqual(untouched)
      for (const usage of [0x20, 0x10, 0x08]) expect(await used(0x80 | usage)).toEqual(refused)
      expect(await used(0xa8, poolKey(2))).toEqual(untouched)
    },
  )

  test('an IPv4 address is no dNSName; what only looks a little like one is', async () => {
    const named = (name: Uint8Array) => both(asked, forge({ issuer: root, extensions: [subjectAltName([name])] }))
    const refused = asFirst('subjectAltName has an address for a dNSName (profile.requireConformingCas)')
    expect(await named(dns('192.0.2.1'))).toEqual(refused)
    for (const name of ['192.0.2', '192.0.2.1.example', '1.2.3.4.5', '192.0.2.a']) {
      expect(await named(dns(name))).toEqual(untouched)
    }
    expect(await named(ip('c0000201'))).toEqual(untouched)
  })
})

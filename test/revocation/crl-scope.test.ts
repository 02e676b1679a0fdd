import { describe, expect, test } from '@jest/globals'
import { answer, type Encoded, verdict } from '../support/crl-answers.js'
import {
  type CrlPlan,
  cRLDistributionPoints,
  forgeCrl,
  type Issuing,
  type Point,
  type ReasonFlag,
  reasonFlags,
} from '../support/crl-forge.js'
import {
  directory,
  dns,
  email,
  ip,
  name,
  oid,
  otherName,
  registeredId,
  sequence,
  uri,
  utf8,
} from '../support/path-der.js'
import { forge, fromNoon, poolKey } from '../support/path-forge.js'

/** RFC 5280 §6.3.3 (b): which CRLs are about a certificate. The root, a CA below it, a client of each. */
const rootName = name(['O', 'Acme'], ['CN', 'Root'])
const root = forge({ subject: rootName, key: poolKey(40) })
const ca = forge({ subject: 'Issuing', issuer: root, ca: true, key: poolKey(41), serial: 8 })
const underCa = forge({ issuer: ca })
const ofCa = forgeCrl(ca)
const leafAt = (...points: Point[]) =>
  forge({ issuer: root, serial: 7, extensions: points.length > 0 ? [cRLDistributionPoints(...points)] : [] })

const listing = (...serials: number[]) => ({ entries: serials.map((serial) => ({ serial })) })
const ask = (leaf: Encoded, ...crls: Uint8Array[]) => verdict(leaf, { anchors: [root], crls })
const crlFor = (scope?: Issuing, plan: CrlPlan = {}) => forgeCrl(root, scope === undefined ? plan : { ...plan, scope })
/** Whether the CRL of this scope is about the certificate: what it says while it lists it, and while it lists another. */
async function isAbout(leaf: Encoded, scope?: Issuing): Promise<boolean> {
  const verdicts = [await ask(leaf, crlFor(scope, listing(7))), await ask(leaf, crlFor(scope, listing(9)))]
  if (verdicts.join() === 'revoked @0,good') return true
  expect(verdicts).toEqual(['unknown @0', 'unknown @0'])
  return false
}

describe('(b)(2)(ii) to (iv): kinds of certificates', () => {
  const own = { fullName: [directory(['O', 'Acme'], ['CN', 'Root'])] }
  test.each<{ scope: string; given?: Issuing; endEntity: boolean; issuer: boolean }>([
    { scope: 'no issuing distribution point', endEntity: true, issuer: true },
    { scope: 'onlyContainsUserCerts', given: { userCerts: true }, endEntity: true, issuer: false },
    { scope: 'onlyContainsCACerts', given: { cACerts: true }, endEntity: false, issuer: true },
    { scope: 'onlyContainsAttributeCerts', given: { attributeCerts: true }, endEntity: false, issuer: false },
    { scope: 'indirectCRL, of the issuer itself', given: { indirect: true }, endEntity: true, issuer: true },
    { scope: 'the name of the issuer', given: own, endEntity: true, issuer: true },
    { scope: 'the name, and user certificates', given: { ...own, userCerts: true }, endEntity: true, issuer: false },
    { scope: 'the name, and CA certificates', given: { ...own, cACerts: true }, endEntity: false, issuer: true },
    { scope: 'another name', given: { fullName: [directory(['CN', 'Root'])] }, endEntity: false, issuer: false },
    { scope: 'an address', given: { fullName: [uri('http://crl.test/1')] }, endEntity: false, issuer: false },
    { scope: 'some reasons', given: { reasons: ['keyCompromise'] }, endEntity: false, issuer: false },
  ])('$scope: of end entities $endEntity, of CAs $issuer', async ({ given, endEntity, issuer }) => {
    const askIssuer = (plan: CrlPlan) =>
      verdict(underCa, { anchors: [root], via: [ca], crls: [ofCa, crlFor(given, plan)] })
    const onlySome = given?.reasons !== undefined
    expect(await ask(leafAt(), crlFor(given, listing(9)))).toBe(endEntity ? 'good' : 'unknown @0')
    expect(await ask(leafAt(), crlFor(given, listing(7)))).toBe(endEntity || onlySome ? 'revoked @0' : 'unknown @0')
    expect(await askIssuer(listing(9))).toBe(issuer ? 'good' : 'unknown @1')
    expect(await askIssuer(listing(8))).toBe(issuer || onlySome ? 'revoked @1' : 'unknown @1')
  })

  test('a CRL of users and one of CAs are two: each is needed where it is about somebody', async () => {
    const [users, authorities] = [crlFor({ userCerts: true }), crlFor({ cACerts: true }, { number: 2 })]
    expect(await ask(leafAt(), users, authorities)).toBe('good')
    expect(await ask(leafAt(), authorities)).toBe('unknown @0')
    const asked = { anchors: [root], via: [ca] }
    expect(await verdict(underCa, { ...asked, crls: [ofCa, users, authorities] })).toBe('good')
    expect(await verdict(underCa, { ...asked, crls: [ofCa, users] })).toBe('unknown @1')
    // The newer of the one does not replace the older of the other.
    const listed = crlFor({ userCerts: true }, { ...listing(7), thisUpdate: -7200 })
    expect(await ask(leafAt(), listed, authorities)).toBe('revoked @0')
  })

  test('what decides is cA, as the CRL issuer sees it, and no key usage', async () => {
    const keyCertSign = { oid: '2.5.29.15', critical: true, value: Uint8Array.of(3, 2, 2, 0x84) }
    const odd = forge({ issuer: root, serial: 7, extensions: [keyCertSign] })
    const asked = { anchors: [root], profile: { allowCaAsClient: true } }
    const [users, authorities] = [crlFor({ userCerts: true }, listing(7)), crlFor({ cACerts: true })]
    expect(await verdict(odd, { ...asked, crls: [users, authorities] })).toBe('revoked @0')
    expect(await verdict(odd, { ...asked, crls: [authorities] })).toBe('unknown @0')
  })
})

describe('(b)(2)(i): the name of the distribution point', () => {
  const [one, two, three] = [uri('http://crl.test/1'), uri('http://crl.test/2'), uri('http://crl.test/3')]
  const names = (...fullName: Uint8Array[]) => ({ fullName })

  test('GHSA-pwjx-qhcg-rvj4: any of the one is any of the other, also where it is the last of both', async () => {
    const [a, b] = [uri('http://a.test/'), dns('crl.test')]
    expect(await isAbout(leafAt(names(a, b, three)), names(one, two, three))).toBe(true)
    expect(await isAbout(leafAt(names(three, a, b)), names(one, two, three))).toBe(true)
    expect(await isAbout(leafAt(names(a, b, three)), names(three, one, two))).toBe(true)
    expect(await isAbout(leafAt(names(a, b)), names(one, two, three))).toBe(false)
  })

  test('GHSA-pwjx-qhcg-rvj4: any of the certificate’s points, also where it is the last', async () => {
    expect(await isAbout(leafAt(names(one), names(two), names(three)), names(three))).toBe(true)
    expect(await isAbout(leafAt(names(one), names(two), names(three)), names(one))).toBe(true)
    expect(await isAbout(leafAt(names(one), names(two)), names(three))).toBe(false)
  })

  test('a CRL without a name is about all points; a name without a point, about none', async () => {
    expect(await isAbout(leafAt(names(one)))).toBe(true)
    expect(await isAbout(leafAt(names(one)), { userCerts: true })).toBe(true)
    expect(await isAbout(leafAt(), names(one))).toBe(false)
  })

  test('§6.3.3: a certificate without points is looked up under its issuer’s names, issuerAltName among them', async () => {
    const issuerAltName = { oid: '2.5.29.18', critical: false, value: sequence(uri('http://ca.test/')) }
    const named = forge({ issuer: root, serial: 7, extensions: [issuerAltName] })
    expect(await isAbout(named, names(uri('http://ca.test/')))).toBe(true)
    expect(await isAbout(named, names(directory(['O', 'Acme'], ['CN', 'Root'])))).toBe(true)
    expect(await isAbout(named, names(uri('http://ca.test/1')))).toBe(false)
    expect(await isAbout(leafAt(), names(uri('http://ca.test/')))).toBe(false)
  })

  test('§7.4: scheme and host in any case; the path, the query and escapes exactly', async () => {
    const isSame = (a: string, b: string) => isAbout(leafAt(names(uri(a))), names(uri(b)))
    expect(await isSame('http://crl.test/a?b', 'HTTP://CRL.Test/a?b')).toBe(true)
    expect(await isSame('http://crl.test/a?b', 'http://crl.test/A?b')).toBe(false)
    expect(await isSame('http://crl.test/a?b', 'http://crl.test/a?B')).toBe(false)
    expect(await isSame('http://crl.test/shard.crl', 'http://crl.test/%73hard.crl')).toBe(false)
    expect(await isSame('http://crl.test/a', 'https://crl.test/a')).toBe(false)
    expect(await isSame('http://crl.test/a', 'http://crl.test:80/a')).toBe(false)
    expect(await isSame('ldap:///CN=Crl?x', 'LDAP:///CN=Crl?x')).toBe(true)
    expect(await isSame('ldap:///CN=Crl?x', 'ldap:///cn=crl?x')).toBe(false)
  })

  test('names are compared within their form', async () => {
    const forms = [
      dns('crl.test'),
      email('crl@acme.test'),
      uri('http://crl.test/'),
      ip('7f000001'),
      registeredId('1.2.3'),
      otherName('1.2.3', utf8('crl')),
      directory(['CN', 'crl']),
    ]
    for (const [i, form] of forms.entries()) {
      for (const [j, other] of forms.entries()) {
        expect(await isAbout(leafAt(names(form)), names(other))).toBe(i === j)
      }
    }
    expect(await isAbout(leafAt(names(directory(['CN', 'CRL  1']))), names(directory(['CN', 'crl 1'])))).toBe(true)
    expect(await isAbout(leafAt(names(otherName('1.2.3', utf8('a')))), names(otherName('1.2.3', utf8('b'))))).toBe(
      false,
    )
  })

  test('a relative name stands below the CRL issuer’s', async () => {
    const part = (value: string) => ({ relative: sequence(oid('2.5.4.3'), utf8(value)) })
    const full = (value: string) => names(directory(['O', 'Acme'], ['CN', 'Root'], ['CN', value]))
    expect(await isAbout(leafAt(part('1')), part('1'))).toBe(true)
    expect(await isAbout(leafAt(part('1')), full('1'))).toBe(true)
    expect(await isAbout(leafAt(full('1')), part('1'))).toBe(true)
    expect(await isAbout(leafAt(part('1')), part('2'))).toBe(false)
    expect(await isAbout(leafAt(part('1')), full('2'))).toBe(false)
    expect(await isAbout(leafAt(part('1')), names(directory(['CN', '1'])))).toBe(false)
    expect(await isAbout(leafAt(part('1')), names(uri('http://crl.test/1')))).toBe(false)
  })
})

describe('(d) (e) (l): CRLs that speak of some reasons', () => {
  const some = (reasons: readonly ReasonFlag[], plan: CrlPlan = {}) => crlFor({ reasons }, plan)
  const parts = [reasonFlags.slice(0, 3), reasonFlags.slice(3, 6), reasonFlags.slice(6)] as const

  test('are good together where they leave no reason out; each twin leaves out one', async () => {
    expect(reasonFlags.length).toBe(8)
    expect(await ask(leafAt(), ...parts.map((part) => some(part)))).toBe('good')
    for (const left of reasonFlags) {
      const incomplete = parts.map((part) => some(part.filter((each) => each !== left)))
      expect(await ask(leafAt(), ...incomplete)).toBe('unknown @0')
      expect(await ask(leafAt(), some(reasonFlags.filter((each) => each !== left)))).toBe('unknown @0')
      expect(await ask(leafAt(), some(reasonFlags.filter((each) => each !== left)), some([left]))).toBe('good')
    }
    expect(await ask(leafAt(), some(reasonFlags))).toBe('good')
  })

  test('`unused` is no reason', async () => {
    expect(await ask(leafAt(), some(['unused', ...reasonFlags.slice(1)]))).toBe('unknown @0')
  })

  test('each of them revokes, whatever is not known of the others', async () => {
    for (const [i, part] of parts.entries()) {
      const crls = parts.map((each, j) => some(each, i === j ? listing(7) : {}))
      expect(await ask(leafAt(), ...crls)).toBe('revoked @0')
      expect(await ask(leafAt(), some(part, listing(7)))).toBe('revoked @0')
    }
  })

  test('one that has ended speaks of nothing any more', async () => {
    const [a, b, c] = parts
    expect(await ask(leafAt(), some(a), some(b), some(c, { nextUpdate: -1 }))).toBe('unknown @0')
    expect(await ask(leafAt(), some(a), some(b), some(c, { nextUpdate: 0 }))).toBe('good')
  })

  test('a CRL of all reasons needs no other, and the first to end of those that are needed ends the answer', async () => {
    const [a, b, c] = parts
    expect(await ask(leafAt(), crlFor(), some(a, { nextUpdate: -1 }))).toBe('good')
    const crls = [some(a, { nextUpdate: 60 }), some(b, { nextUpdate: 30 }), some(c, { nextUpdate: 90 })]
    expect(await answer(leafAt(), { anchors: [root], crls })).toEqual({ status: 'good', validUntil: fromNoon(30) })
  })

  test('a point of the certificate may ask for some reasons only, and the CRL there is not asked for more', async () => {
    const [first, second] = [uri('http://crl.test/1'), uri('http://crl.test/2')]
    const [half, rest] = [reasonFlags.slice(0, 4), reasonFlags.slice(4)]
    const leaf = leafAt({ fullName: [first], reasons: half }, { fullName: [second], reasons: rest })
    const [atFirst, atSecond] = [crlFor({ fullName: [first] }), crlFor({ fullName: [second] }, { number: 2 })]
    expect(await ask(leaf, atFirst, atSecond)).toBe('good')
    expect(await ask(leaf, atFirst)).toBe('unknown @0')
    expect(await ask(leaf, atSecond)).toBe('unknown @0')
    expect(await ask(leaf, crlFor({ fullName: [first] }, listing(7)))).toBe('revoked @0')
    // The twin: the same CRL at a point that asks for all.
    expect(await ask(leafAt({ fullName: [first] }), atFirst)).toBe('good')
    // Less than the point asks for.
    const less = crlFor({ fullName: [second], reasons: rest.slice(1) }, { number: 2 })
    expect(await ask(leaf, atFirst, less)).toBe('unknown @0')
    // Whoever speaks of everything, at no point, closes the gap.
    expect(await ask(leaf, atFirst, crlFor())).toBe('good')
  })
})

test('the same moment, another scope: what one says is said of its own certificates', async () => {
  const at = uri('http://crl.test/1')
  const leaf = leafAt({ fullName: [at] })
  const shard = crlFor({ fullName: [at] }, listing(7))
  const whole = crlFor(undefined, { number: 9, thisUpdate: -60 })
  expect(await ask(leaf, shard, whole)).toBe('revoked @0')
  expect(await ask(leaf, whole, shard)).toBe('revoked @0')
  expect(await ask(leaf, whole)).toBe('good')
})

import { beforeAll, describe, expect, test } from '@jest/globals'
import { CrlStatus } from '../../src/revocation/crl-status.js'
import {
  createTestAuthority,
  createTestPki,
  type TestAuthority,
  type TestCredential,
  type TestCrl,
  type TestCrlOptions,
  type TestPki,
  type TestRevocationReason,
} from '../../src/testing.js'
import { answer, known, type Surroundings, sentence, verdict } from '../support/crl-answers.js'
import {
  forgeCrl,
  freshestCRL,
  type Issuing,
  issuingDistributionPoint,
  tampered,
  unknownExtension,
} from '../support/crl-forge.js'
import { uri } from '../support/path-der.js'
import { forge, poolKey } from '../support/path-forge.js'
import { day, derNull, fromNoon, hour, integer, minute, noon, second, tlv } from '../support/pki.js'

/** RFC 5280 §6.3.3 for complete CRLs. root → intermediate → alice; what each CA says of those below it. */
let pki: TestPki
let alice: TestCredential
let ofRoot: TestCrl
let ofIntermediate: TestCrl

beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue()
  ofRoot = await pki.root.crl()
  ofIntermediate = await pki.intermediate.crl()
})

const asked = (crls: Surroundings['crls'], more: Partial<Surroundings> = {}): Surroundings => ({
  anchors: [pki.root.certificate],
  via: alice.chain,
  crls,
  ...more,
})
const ask = (crls: Surroundings['crls'], more?: Partial<Surroundings>) => verdict(alice.certificate, asked(crls, more))
/** The intermediate's CRL as the options say; the root's is in order. */
const askWith = async (options: TestCrlOptions, more?: Partial<Surroundings>) =>
  ask([ofRoot, await pki.intermediate.crl(options)], more)
const listed = (serialNumber: { serialNumber: string }, reason?: TestRevocationReason) => [
  reason === undefined ? { serialNumber } : { serialNumber, reason },
]

describe('every CA in the path has to have spoken', () => {
  test('good where each has; its twins, where one has not, are unknown at the certificate nobody spoke about', async () => {
    expect(await ask([ofRoot, ofIntermediate])).toBe('good')
    expect(await ask([ofIntermediate, ofRoot])).toBe('good')
    expect(await ask([ofRoot])).toBe('unknown @0')
    expect(await ask([ofIntermediate])).toBe('unknown @1')
    expect(await ask([])).toBe('unknown @0')
  })

  test('a CRL of somebody else says nothing', async () => {
    const stranger = await createTestAuthority({ now: noon, subject: 'CN=Stranger' })
    expect(await ask([ofRoot, await stranger.crl()])).toBe('unknown @0')
    expect(await ask([ofRoot, ofIntermediate, await stranger.crl({ revoked: listed(alice) })])).toBe('good')
  })

  test('revoked at each depth; the twin lists another', async () => {
    expect(await askWith({ revoked: listed(alice) })).toBe('revoked @0')
    expect(await askWith({ revoked: listed(await pki.issue()) })).toBe('good')
    const revoking = await pki.root.crl({ revoked: listed(pki.intermediate, 'cACompromise') })
    expect(await ask([revoking, ofIntermediate])).toBe('revoked @1 cACompromise')
  })

  test('one that is revoked decides, whatever is not known about another', async () => {
    const revokingAlice = await pki.intermediate.crl({ revoked: listed(alice) })
    expect(await ask([revokingAlice])).toBe('revoked @0')
    const revokingIssuer = await pki.root.crl({ revoked: listed(pki.intermediate) })
    expect(await ask([revokingIssuer])).toBe('revoked @1')
    expect(await ask([revokingIssuer, revokingAlice])).toBe('revoked @0')
  })

  test('a serial number is one of its issuer: the root revokes its own, not those of the intermediate', async () => {
    expect(await ask([await pki.root.crl({ revoked: listed(alice) }), ofIntermediate])).toBe('good')
    expect(await askWith({ revoked: listed(pki.intermediate) })).toBe('good')
  })
})

describe('when a CRL speaks', () => {
  test('from its thisUpdate on, to the second', async () => {
    expect(await askWith({ thisUpdate: noon })).toBe('good')
    expect(await askWith({ thisUpdate: fromNoon(second) })).toBe('unknown @0')
    expect(await askWith({ thisUpdate: fromNoon(second), revoked: listed(alice) })).toBe('unknown @0')
  })

  test('clocks differ: within the skew of crl(), five minutes, it has begun; path.ts allows none', async () => {
    const skew = 5 * minute
    expect(await askWith({ thisUpdate: fromNoon(skew) }, { skew })).toBe('good')
    expect(await askWith({ thisUpdate: fromNoon(skew) })).toBe('unknown @0')
    expect(await askWith({ thisUpdate: fromNoon(skew + second) }, { skew })).toBe('unknown @0')
    expect(await askWith({ thisUpdate: fromNoon(skew), revoked: listed(alice) }, { skew })).toBe('revoked @0')
  })

  test('until its nextUpdate, inclusive; no skew prolongs it', async () => {
    expect(await askWith({ nextUpdate: noon })).toBe('good')
    expect(await askWith({ nextUpdate: fromNoon(-second) })).toBe('unknown @0')
    expect(await askWith({ nextUpdate: fromNoon(-second) }, { skew: 5 * minute })).toBe('unknown @0')
    expect(await askWith({ nextUpdate: noon }, { at: new Date(noon.getTime() + 1) })).toBe('unknown @0')
  })

  test('whom it listed stays revoked when it is over', async () => {
    expect(await askWith({ nextUpdate: fromNoon(-second), revoked: listed(alice) })).toBe('revoked @0')
    const old = { thisUpdate: fromNoon(-3 * day), nextUpdate: fromNoon(-2 * day) }
    expect(await askWith({ ...old, revoked: listed(alice) })).toBe('revoked @0')
    expect(await askWith(old)).toBe('unknown @0')
  })

  test('without nextUpdate, which §5.1.2.5 requires, only for as long as maxAge says', async () => {
    const age = { thisUpdate: fromNoon(-hour), nextUpdate: false } as const
    expect(await askWith(age)).toBe('unknown @0')
    expect(await askWith(age, { maxAge: hour })).toBe('good')
    expect(await askWith(age, { maxAge: hour - 1 })).toBe('unknown @0')
    expect(await askWith({ ...age, revoked: listed(alice) })).toBe('revoked @0')
  })

  test('maxAge ends a CRL earlier than its nextUpdate, and never later', async () => {
    const young = await pki.root.crl({ thisUpdate: fromNoon(-minute) })
    const askAged = async (options: TestCrlOptions, maxAge: number) =>
      ask([young, await pki.intermediate.crl(options)], { maxAge })
    expect(await askAged({ thisUpdate: fromNoon(-2 * hour) }, hour)).toBe('unknown @0')
    expect(await askAged({ thisUpdate: fromNoon(-hour) }, hour)).toBe('good')
    expect(await askAged({ nextUpdate: fromNoon(-second) }, 10 * day)).toBe('unknown @0')
  })

  test('good until the first of the CRLs ends', async () => {
    const until = async (root: TestCrlOptions, intermediate: TestCrlOptions, more?: Partial<Surroundings>) => {
      const crls = [await pki.root.crl(root), await pki.intermediate.crl(intermediate)]
      const status = await answer(alice.certificate, asked(crls, more))
      return status.status === 'good' ? status.validUntil : status.status
    }
    const [early, late] = [{ nextUpdate: fromNoon(hour) }, { nextUpdate: fromNoon(2 * hour) }]
    expect(await until(early, late)).toEqual(fromNoon(hour))
    expect(await until(late, early)).toEqual(fromNoon(hour))
    expect(await until(late, late)).toEqual(fromNoon(2 * hour))
    expect(await until(late, { ...late, thisUpdate: fromNoon(-minute) }, { maxAge: 61 * minute })).toEqual(
      fromNoon(minute),
    )
  })

  test('and no longer than until a CRL begins that may say otherwise', async () => {
    const begins = fromNoon(30 * minute)
    const next = await pki.intermediate.crl({ thisUpdate: begins, revoked: listed(alice) })
    for (const skew of [0, 5 * minute]) {
      const situation = asked([ofRoot, ofIntermediate, next], { skew })
      const status = await answer(alice.certificate, situation)
      const last = new Date(begins.getTime() - skew - 1)
      expect(status).toEqual({ status: 'good', validUntil: last })
      expect(await verdict(alice.certificate, { ...situation, at: last })).toBe('good')
      expect(await verdict(alice.certificate, { ...situation, at: new Date(last.getTime() + 1) })).toBe('revoked @0')
    }
  })
})

describe('what an entry says', () => {
  test.each<[TestRevocationReason, string]>([
    ['unspecified', 'unspecified'],
    ['keyCompromise', 'keyCompromise'],
    ['cACompromise', 'cACompromise'],
    ['affiliationChanged', 'affiliationChanged'],
    ['superseded', 'superseded'],
    ['cessationOfOperation', 'cessationOfOperation'],
    ['certificateHold', 'certificateHold'],
    ['removeFromCRL', 'removeFromCRL'],
    ['privilegeWithdrawn', 'privilegeWithdrawn'],
    ['aACompromise', 'aACompromise'],
  ])('%s is a revocation, and the refusal names it', async (reason, name) => {
    expect(await askWith({ revoked: listed(alice, reason) })).toBe(`revoked @0 ${name}`)
  })

  test('its date is told, whatever it is; invalidityDate changes nothing', async () => {
    for (const date of [fromNoon(-3 * day), fromNoon(3 * day), fromNoon(-1000 * day)]) {
      const crl = await pki.intermediate.crl({
        revoked: [{ serialNumber: alice, date, invalidityDate: fromNoon(9 * day) }],
      })
      const status = await answer(alice.certificate, asked([ofRoot, crl]))
      expect(status).toEqual({ status: 'revoked', depth: 0, since: date })
    }
  })

  test('of two entries for one certificate the one that revokes counts, in either order', async () => {
    const both = [...listed(alice, 'removeFromCRL'), ...listed(alice, 'keyCompromise')]
    expect(await askWith({ revoked: both })).toBe('revoked @0 keyCompromise')
    expect(await askWith({ revoked: both.toReversed() })).toBe('revoked @0 keyCompromise')
  })
})

describe('critical extensions', () => {
  const unknown = { oid: '1.3.6.1.4.1.99999.1', value: derNull }

  test('one that is not known makes the CRL useless, for everybody; the twin is not critical', async () => {
    expect(await askWith({ extensions: [{ ...unknown, critical: true }] })).toBe('unknown @0')
    expect(await askWith({ extensions: [unknown] })).toBe('good')
    expect(await askWith({ extensions: [{ ...unknown, critical: true }], revoked: listed(alice) })).toBe('unknown @0')
    expect(await askWith({ extensions: [unknown], revoked: listed(alice) })).toBe('revoked @0')
  })

  test('in an entry, too, whosever it is', async () => {
    const with_ = (serialNumber: { serialNumber: string }, critical: boolean) => ({
      revoked: [{ serialNumber, extensions: [{ ...unknown, critical }] }],
    })
    const bob = await pki.issue()
    expect(await askWith(with_(bob, true))).toBe('unknown @0')
    expect(await askWith(with_(bob, false))).toBe('good')
    expect(await askWith(with_(alice, true))).toBe('unknown @0')
    expect(await askWith(with_(alice, false))).toBe('revoked @0')
  })

  test.each<[string, string, Uint8Array]>([
    ['cRLNumber', '2.5.29.20', integer(7)],
    ['authorityKeyIdentifier', '2.5.29.35', tlv(0x30)],
    ['freshestCRL', '2.5.29.46', freshestCRL({ fullName: [uri('http://crl.test/delta')] }).value],
    [
      'authorityInfoAccess',
      '1.3.6.1.5.5.7.1.1',
      tlv(0x30, tlv(0x30, tlv(6, [0x2b, 6, 1, 5, 5, 7, 0x30, 2]), uri('http://crl.test/ca'))),
    ],
  ])('%s must not be critical', async (_, oid, value) => {
    expect(await askWith({ extensions: [{ oid, value, critical: true }] })).toBe('unknown @0')
    expect(await askWith({ extensions: [{ oid, value }] })).toBe('good')
  })

  test('a flawed CRL is not passed over in favour of the one before it', async () => {
    const newer = await pki.intermediate.crl({
      thisUpdate: fromNoon(-minute),
      extensions: [{ ...unknown, critical: true }],
    })
    expect(await ask([ofRoot, ofIntermediate, newer])).toBe('unknown @0')
    expect(await ask([ofRoot, newer, ofIntermediate])).toBe('unknown @0')
  })

  test('an issuing distribution point counts although it is not critical, as it must be', async () => {
    const scoped = (scope: Issuing) => {
      const { oid, value } = issuingDistributionPoint(scope)
      return { extensions: [{ oid, value }] }
    }
    expect(await askWith(scoped({ userCerts: true }))).toBe('good')
    expect(await askWith(scoped({ cACerts: true }))).toBe('unknown @0')
  })
})

describe('§5.2.3: cRLNumber', () => {
  const cRLNumber = '2.5.29.20'

  test('a version 2 CRL without one is not used; a version 1 CRL has no place for it, and is', async () => {
    expect(await askWith({ omit: [cRLNumber] })).toBe('unknown @0')
    const root = forge({ subject: 'Root', key: poolKey(40) })
    const leaf = forge({ issuer: root, serial: 7 })
    const version1 = (serial?: number) =>
      forgeCrl(root, { version: 1, entries: serial === undefined ? [] : [{ serial }] })
    expect(await verdict(leaf, { anchors: [root], crls: [version1()] })).toBe('good')
    expect(await verdict(leaf, { anchors: [root], crls: [version1(8)] })).toBe('good')
    expect(await verdict(leaf, { anchors: [root], crls: [version1(7)] })).toBe('revoked @0')
    const without = forgeCrl(root, { number: null })
    expect(await sentence(leaf, { anchors: [root], crls: [without] })).toBe(
      'CRL of "CN=Root" (./test.crl) has no cRLNumber — RFC 5280 §5.2.3 requires it; have the CA number its CRLs',
    )
  })

  test('of up to 20 octets it is a number like any other', async () => {
    const number = 2n ** 159n - 1n
    expect(await askWith({ number })).toBe('good')
    const older = await pki.intermediate.crl({
      number: number - 1n,
      thisUpdate: fromNoon(-2 * hour),
      revoked: listed(alice),
    })
    expect(await ask([ofRoot, older, await pki.intermediate.crl({ number })])).toBe('good')
    expect(await ask([ofRoot, older, await pki.intermediate.crl({ number: number - 2n })])).toBe('revoked @0')
  })
})

describe('signatures', () => {
  test('one that does not verify is worth nothing, whatever the CRL says', async () => {
    expect(await ask([ofRoot, tampered(ofIntermediate.der)])).toBe('unknown @0')
    const revoking = await pki.intermediate.crl({ revoked: listed(alice) })
    expect(await ask([ofRoot, revoking])).toBe('revoked @0')
    expect(await ask([ofRoot, tampered(revoking.der)])).toBe('unknown @0')
  })

  test('another key under the same name is not the CA', async () => {
    const other = await pki.root.issueAuthority({ subject: pki.intermediate.subjectDer })
    expect(await askWith({ signWith: other })).toBe('unknown @0')
    const lookAlike: TestAuthority = await createTestAuthority({ now: noon, subject: pki.root.subjectDer })
    expect(await ask([await lookAlike.crl(), ofIntermediate])).toBe('unknown @1')
  })

  test('a forged CRL neither revokes, nor makes the real one unheard', async () => {
    const forged = { signWith: alice, thisUpdate: fromNoon(-second), number: 1000 }
    const forgedGood = await pki.intermediate.crl(forged)
    const forgedRevoking = await pki.intermediate.crl({ ...forged, revoked: listed(alice) })
    const revoking = await pki.intermediate.crl({ revoked: listed(alice), number: 7 })
    expect(await ask([ofRoot, ofIntermediate, forgedRevoking])).toBe('good')
    expect(await ask([ofRoot, forgedGood, revoking])).toBe('revoked @0')
    expect(await ask([ofRoot, forgedGood])).toBe('unknown @0')
  })

  test('an algorithm the profile does not accept is none, also where another profile accepted it for the same CRL', async () => {
    const root = await createTestAuthority({ now: noon, keyAlgorithm: 'RSA-2048' })
    const leaf = await root.issue({ keyAlgorithm: 'P-256' })
    const crl = await root.crl({ hash: 'SHA-384' })
    const strict = { signatureAlgorithms: ['sha256WithRSAEncryption'] }
    const surroundings = { anchors: [root.certificate], crls: [crl] }

    const engine = new CrlStatus({ skew: 0, maxAge: Number.POSITIVE_INFINITY, remembersSigners: true })

    const same = { ...surroundings, crls: [known(crl)], engine }
    expect(await verdict(leaf.certificate, { ...same, profile: strict })).toBe('unknown @0')
    expect(await verdict(leaf.certificate, same)).toBe('good')
    expect(await verdict(leaf.certificate, { ...same, profile: strict })).toBe('unknown @0')
  })
})

test('what is missing is said as fact and fix', async () => {
  const say = (crls: Surroundings['crls']) => sentence(alice.certificate, asked(crls))
  const [client, issuing, root] = ['"CN=alice"', '"CN=Test Intermediate CA"', '"CN=Test Root CA"']
  expect(await say([ofRoot])).toBe(`no CRL of ${issuing} for client ${client} — add the CRL of ${issuing}`)
  expect(await say([ofIntermediate])).toBe(
    `no CRL of ${root} for intermediate ${issuing} — add the CRL of ${root}, or crl({ leafOnly: true })`,
  )
  expect(
    await say([ofRoot, await pki.intermediate.crl({ issuingDistributionPoint: { onlyContainsCACerts: true } })]),
  ).toBe(
    `CRL of ${issuing} (./test.crl) is about other certificates than client ${client}, by its issuingDistributionPoint — add the CRL that its cRLDistributionPoints name`,
  )
  const named = { issuingDistributionPoint: { fullName: { uri: ['http://ca.test/1.0/crl'] } } }
  expect(await say([ofRoot, await pki.intermediate.crl(named)])).toBe(
    `CRL of ${issuing} (./test.crl) is about other certificates than client ${client}, by its issuingDistributionPoint — have the CA write that name into its certificates, as cRLDistributionPoints, or leave it out of the CRL`,
  )
  expect(await say([ofRoot, tampered(ofIntermediate.der)])).toBe(
    `CRL of ${issuing} (./test.crl) is signed by no certificate of that name under this trust anchor that may sign CRLs — is it the CRL of another CA of the same name? A separate CRL issuer belongs into intermediates`,
  )
  expect(await say([ofRoot, await pki.intermediate.crl({ nextUpdate: false })])).toBe(
    `CRL of ${issuing} (./test.crl) has no nextUpdate — have the CA write one, or crl({ maxAge })`,
  )
  expect(await say([ofRoot, await pki.intermediate.crl({ extensions: [unknownExtension(true)] })])).toBe(
    `CRL of ${issuing} (./test.crl) has the critical extension 1.2.3.4, which is not known here or must not be critical — it must not be used (RFC 5280 §5.2); have the CA issue one without it`,
  )
})

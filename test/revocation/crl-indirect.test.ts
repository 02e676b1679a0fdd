import { describe, expect, test } from '@jest/globals'
import { type Encoded, type Surroundings, sentence, verdict } from '../support/crl-answers.js'
import { type CrlPlan, cRLDistributionPoints, type Entry, forgeCrl, type Point } from '../support/crl-forge.js'
import { directory, dns, keyUsage, oid, sequence, uri, utf8 } from '../support/path-der.js'
import { type Forged, forge, poolKey } from '../support/path-forge.js'

/** CRLs that somebody else issues (RFC 5280 §5.2.5, §5.3.3, §6.3.3 (b)(1)): the root has a CRL issuer, and two CAs below it use it. */
const root = forge({ subject: 'Root', key: poolKey(40) })
const crlSign = keyUsage(0x02)
const crlIssuer = forge({ subject: 'Crl Issuer', issuer: root, key: poolKey(42), serial: 30, extensions: [crlSign] })
const [first, second] = ['First', 'Second'].map((subject, i) =>
  forge({ subject, issuer: root, ca: true, key: poolKey(43 + i), serial: 20 + i }),
) as [Forged, Forged]

const nameOfCrlIssuer = directory(['CN', 'Crl Issuer'])
const at = (issuer: Forged, ...points: Point[]) =>
  forge({ issuer, serial: 7, extensions: [cRLDistributionPoints(...points)] })
const delegated: Point = { cRLIssuer: [nameOfCrlIssuer] }
const ofFirst = at(first, delegated)
const ofSecond = at(second, delegated)
const [byFirst, bySecond] = [[directory(['CN', 'First'])], [directory(['CN', 'Second'])]]

const indirect = (entries: readonly Entry[] = [], plan: CrlPlan = {}) =>
  forgeCrl(crlIssuer, { scope: { indirect: true }, entries, ...plan })
const ofRoot = forgeCrl(root)
/** The root, which answers for both CAs and for the CRL issuer, is in order. */
const ask = (leaf: Encoded, crls: readonly Uint8Array[], more: Partial<Surroundings> = {}) =>
  verdict(leaf, { anchors: [root], via: [first, second, crlIssuer], crls: [ofRoot, ...crls], ...more })

describe('whom an entry is about', () => {
  test('the CRL issuer’s own until one is named, and then that one’s until the next is', async () => {
    const entries: Entry[] = [
      { serial: 6 },
      { serial: 5, issuer: byFirst },
      { serial: 7 },
      { serial: 5, issuer: bySecond },
      { serial: 8 },
    ]
    expect(await ask(ofFirst, [indirect(entries)])).toBe('revoked @0')
    expect(await ask(ofSecond, [indirect(entries)])).toBe('good')
    const swapped = entries.map((entry) =>
      entry.issuer === undefined ? entry : { ...entry, issuer: entry.issuer === byFirst ? bySecond : byFirst },
    )
    expect(await ask(ofFirst, [indirect(swapped)])).toBe('good')
    expect(await ask(ofSecond, [indirect(swapped)])).toBe('revoked @0')
  })

  test('the same serial number of two issuers is two certificates', async () => {
    const one = indirect([{ serial: 7, issuer: byFirst, reason: 'keyCompromise' }])
    expect(await ask(ofFirst, [one])).toBe('revoked @0 keyCompromise')
    expect(await ask(ofSecond, [one])).toBe('good')
    const both = indirect([
      { serial: 7, issuer: byFirst, reason: 'keyCompromise' },
      { serial: 7, issuer: bySecond, reason: 'superseded' },
    ])
    expect(await ask(ofFirst, [both])).toBe('revoked @0 keyCompromise')
    expect(await ask(ofSecond, [both])).toBe('revoked @0 superseded')
    expect(await ask(ofFirst, [indirect([{ serial: 7 }])])).toBe('good')
  })

  test('several names for one entry are alternatives; none that is a distinguished name makes the CRL useless', async () => {
    const several = [dns('first.test'), directory(['CN', 'Nobody']), ...byFirst]
    expect(await ask(ofFirst, [indirect([{ serial: 7, issuer: several }])])).toBe('revoked @0')
    expect(await ask(ofSecond, [indirect([{ serial: 7, issuer: several }])])).toBe('good')
    expect(await ask(ofSecond, [indirect([{ serial: 7, issuer: [dns('first.test')] }])])).toBe('unknown @0')
  })

  test('the name is compared by its meaning', async () => {
    const spelt = [directory(['CN', '  fIRST '])]
    expect(await ask(ofFirst, [indirect([{ serial: 7, issuer: spelt }])])).toBe('revoked @0')
  })

  test('in a CRL that is not indirect, an entry that names an issuer makes it useless', async () => {
    const own = forge({ issuer: first, serial: 7 })
    const crl = (entries: Entry[], plan: CrlPlan = {}) => [forgeCrl(first, { entries, ...plan })]
    expect(await ask(own, crl([{ serial: 9, issuer: bySecond }]))).toBe('unknown @0')
    expect(await ask(own, crl([{ serial: 7, issuer: byFirst }]))).toBe('unknown @0')
    expect(await ask(own, crl([{ serial: 9 }]))).toBe('good')
    const scope = { indirect: true }
    expect(await ask(own, crl([{ serial: 9, issuer: bySecond }], { scope }))).toBe('good')
    expect(await ask(own, crl([{ serial: 7, issuer: byFirst }], { scope }))).toBe('revoked @0')
    expect(await ask(own, crl([{ serial: 7, issuer: bySecond }], { scope }))).toBe('good')
  })
})

describe('(b)(1): who may speak for another', () => {
  test('whom the certificate names, in a CRL that says it is indirect', async () => {
    expect(await ask(ofFirst, [indirect()])).toBe('good')
    expect(await ask(ofFirst, [forgeCrl(crlIssuer)])).toBe('unknown @0')
    expect(await ask(ofFirst, [forgeCrl(crlIssuer, { scope: { userCerts: true } })])).toBe('unknown @0')
    expect(await ask(ofFirst, [indirect([], { scope: { indirect: true, userCerts: true } })])).toBe('good')
    expect(await ask(ofFirst, [indirect([], { scope: { indirect: true, cACerts: true } })])).toBe('unknown @0')
  })

  test('nobody whom the certificate does not name', async () => {
    const undelegated = forge({ issuer: first, serial: 7 })
    const listing = [{ serial: 7, issuer: byFirst }]
    expect(await ask(undelegated, [indirect()])).toBe('unknown @0')
    expect(await ask(undelegated, [indirect(listing)])).toBe('unknown @0')
    expect(await ask(undelegated, [indirect(listing), forgeCrl(first)])).toBe('good')
    const elsewhere = at(first, { fullName: [uri('http://crl.test/')] })
    expect(await ask(elsewhere, [indirect()])).toBe('unknown @0')
    const other = at(first, { cRLIssuer: [directory(['CN', 'Other'])] })
    expect(await ask(other, [indirect()])).toBe('unknown @0')
  })

  test('the certificate’s own issuer always: its CRLs are heard beside those of whom it named', async () => {
    const own = (entries: Entry[] = []) => forgeCrl(first, { entries })
    expect(await ask(ofFirst, [own()])).toBe('good')
    expect(await ask(ofFirst, [own([{ serial: 7 }]), indirect()])).toBe('revoked @0')
    expect(await ask(ofFirst, [own(), indirect([{ serial: 7, issuer: byFirst }])])).toBe('revoked @0')
    expect(await ask(ofFirst, [indirect([{ serial: 7, issuer: byFirst }]), own()])).toBe('revoked @0')
  })

  test('any of several whom it names, wherever that one stands', async () => {
    const other = directory(['CN', 'Other'])
    for (const cRLIssuer of [
      [other, nameOfCrlIssuer],
      [nameOfCrlIssuer, other],
      [dns('crl.test'), nameOfCrlIssuer],
    ]) {
      const leaf = at(first, { cRLIssuer })
      expect(await ask(leaf, [indirect()])).toBe('good')
      expect(await ask(leaf, [indirect([{ serial: 7, issuer: byFirst }])])).toBe('revoked @0')
    }
    const points = at(first, { fullName: [uri('http://crl.test/')] }, delegated)
    expect(await ask(points, [indirect()])).toBe('good')
    expect(await ask(at(first, { cRLIssuer: [other] }), [indirect()])).toBe('unknown @0')
  })

  test('a point without a name of its own goes by its CRL issuers’', async () => {
    const scope = (...fullName: Uint8Array[]) => ({ scope: { indirect: true, fullName } })
    expect(await ask(ofFirst, [indirect([], scope(nameOfCrlIssuer))])).toBe('good')
    expect(await ask(ofFirst, [indirect([], scope(uri('http://crl.test/'), nameOfCrlIssuer))])).toBe('good')
    expect(await ask(ofFirst, [indirect([], scope(uri('http://crl.test/')))])).toBe('unknown @0')
    expect(await ask(ofFirst, [indirect([], scope(directory(['CN', 'First'])))])).toBe('unknown @0')
  })

  test('a relative name stands below the CRL issuer, whichever of both it is written in', async () => {
    const relative = sequence(oid('2.5.4.3'), utf8('part'))
    const full = directory(['CN', 'Crl Issuer'], ['CN', 'part'])
    for (const point of [{ relative }, { fullName: [full] }]) {
      const leaf = at(first, { ...point, cRLIssuer: [nameOfCrlIssuer] })
      for (const published of [{ relative }, { fullName: [full] }]) {
        expect(await ask(leaf, [indirect([], { scope: { indirect: true, ...published } })])).toBe('good')
      }
      const below = directory(['CN', 'First'], ['CN', 'part'])
      expect(await ask(leaf, [indirect([], { scope: { indirect: true, fullName: [below] } })])).toBe('unknown @0')
    }
    // Of two CRL issuers nobody can say below which (§4.2.1.13 allows one).
    const two = at(first, { relative, cRLIssuer: [nameOfCrlIssuer, directory(['CN', 'Other'])] })
    expect(await ask(two, [indirect([], { scope: { indirect: true, relative } })])).toBe('unknown @0')
  })
})

describe('(f): the CRL issuer', () => {
  test('is found among what was presented and what is configured, and is itself asked about', async () => {
    const without = { via: [first] }
    expect(await ask(ofFirst, [indirect()], without)).toBe('unknown @0')
    expect(await ask(ofFirst, [indirect()], { ...without, configured: [crlIssuer] })).toBe('good')
    const revoking = [forgeCrl(root, { entries: [{ serial: 30 }], thisUpdate: -60 })]
    expect(await ask(ofFirst, [indirect(), ...revoking])).toBe('unknown @0')
    const listing = indirect([{ serial: 7, issuer: byFirst }])
    expect(await ask(ofFirst, [listing, ...revoking])).toBe('unknown @0')
  })

  test('needs cRLSign, said (RFC 10007)', async () => {
    const as = (extensions: Forged) => ({ via: [first, extensions] })
    const plain = { subject: 'Crl Issuer', issuer: root, key: crlIssuer.key, serial: 31 }
    expect(await ask(ofFirst, [indirect()], as(forge({ ...plain, extensions: [crlSign] })))).toBe('good')
    expect(await ask(ofFirst, [indirect()], as(forge(plain)))).toBe('unknown @0')
    expect(await ask(ofFirst, [indirect()], as(forge({ ...plain, omit: ['2.5.29.15'] })))).toBe('unknown @0')
  })

  test('cannot be the only one who says that it is not revoked', async () => {
    const self = forge({
      subject: 'Self',
      issuer: root,
      key: poolKey(45),
      serial: 32,
      extensions: [crlSign, cRLDistributionPoints({ cRLIssuer: [directory(['CN', 'Self'])] })],
    })
    const leaf = at(first, { cRLIssuer: [directory(['CN', 'Self'])] })
    const crl = forgeCrl(self, { scope: { indirect: true } })
    expect(await ask(leaf, [crl], { via: [first, self] })).toBe('good')
    const situation = { anchors: [root], via: [first, self], crls: [crl, forgeCrl(root, { scope: { cACerts: true } })] }
    expect(await verdict(leaf, situation)).toBe('unknown @0')
  })

  test('may answer for CAs as well as for end entities', async () => {
    const ca = forge({
      subject: 'Third',
      issuer: root,
      ca: true,
      serial: 33,
      key: poolKey(46),
      extensions: [cRLDistributionPoints(delegated)],
    })
    const leaf = forge({ issuer: ca, serial: 7 })
    const situation = (entries: Entry[]) => ({
      anchors: [root],
      via: [ca, crlIssuer],
      // The root speaks of end entities only: of the CRL issuer, and not of the CA.
      crls: [forgeCrl(root, { scope: { userCerts: true } }), forgeCrl(ca), indirect(entries)],
    })
    const byRoot = [directory(['CN', 'Root'])]
    expect(await verdict(leaf, situation([]))).toBe('good')
    expect(await verdict(leaf, situation([{ serial: 33, issuer: byRoot }]))).toBe('revoked @1')
    expect(await verdict(leaf, situation([{ serial: 33, issuer: byFirst }]))).toBe('good')
  })
})

test('what is missing is said of whom the certificate names, and of its issuer', async () => {
  const situation = { anchors: [root], via: [first], crls: [ofRoot] }
  expect(await sentence(ofFirst, situation)).toBe(
    'no CRL of "CN=Crl Issuer" or "CN=First" for client "CN=alice" — add the CRL of "CN=Crl Issuer" or "CN=First"',
  )
  expect(await sentence(ofFirst, { ...situation, crls: [ofRoot, forgeCrl(crlIssuer)] })).toBe(
    'CRL of "CN=Crl Issuer" (./test.crl) is about other certificates than client "CN=alice", by its issuingDistributionPoint — add the CRL that its cRLDistributionPoints name',
  )
})

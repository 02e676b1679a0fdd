import { describe, expect, test } from '@jest/globals'
import { resolveProfile } from '../../src/path/profile.js'
import { judgeOcspResponse, type OcspJudgement, type OcspPolicy } from '../../src/revocation/ocsp-answer.js'
import { Certificate } from '../../src/x509/certificate.js'
import { certIdOf } from '../../src/x509/ocsp-request.js'
import {
  byKey,
  byName,
  certIdDer,
  delegate,
  digest,
  errorResponse,
  generalizedTime,
  good,
  hashOid,
  noCheck,
  nonceExtension,
  ocspSigning,
  pointOf,
  type ResponsePlan,
  respond,
  revoked,
  type SinglePlan,
  serialOf,
  unknown,
} from '../support/ocsp-forge.js'
import { basicConstraints, extKeyUsage, keyUsage, octetString, oid, purpose, sequence } from '../support/path-der.js'
import { dice, type Forged, forge, fromNoon, noon, poolKey } from '../support/path-forge.js'

const at = noon.getTime()
const [second, minute, hour, day] = [1000, 60_000, 3_600_000, 86_400_000]
const profile = resolveProfile('strict')
const policy: OcspPolicy = {
  skew: 5 * minute,
  maxAge: { withNextUpdate: 7 * day, withoutNextUpdate: 5 * minute },
  nonce: 'none',
  delegates: 'nocheck',
  responders: [],
}

const ca = forge({ subject: 'CA', key: poolKey(30) })
const leaf = forge({ subject: 'alice', issuer: ca, key: poolKey(31), serial: 0x1234 })
const certId = certIdDer({ name: ca.subject, point: pointOf(ca.key), serial: serialOf(leaf) })

interface Situation {
  readonly policy?: Partial<OcspPolicy>
  readonly hash?: 'sha1' | 'sha256'
  readonly nonce?: Uint8Array
  readonly at?: number
  readonly issuer?: Forged
  readonly profile?: Parameters<typeof resolveProfile>[0]
}

function judge(octets: Uint8Array, situation: Situation = {}): OcspJudgement {
  const issuer = Certificate.parse((situation.issuer ?? ca).der)
  const asked = certIdOf(Certificate.parse(leaf.der), issuer, situation.hash ?? 'sha1')
  const question = { issuer, certId: asked, nonce: situation.nonce }
  const judgedBy = situation.profile === undefined ? profile : resolveProfile(situation.profile)
  return judgeOcspResponse(octets, question, situation.at ?? at, { ...policy, ...situation.policy }, judgedBy)
}

/** `good`, `revoked`, `unknown`, or the flaw. */
const verdictOf = (judged: OcspJudgement) => (judged.usable ? judged.answer.status : judged.flaw)
const verdict = (plan: ResponsePlan, situation?: Situation) => verdictOf(judge(respond(certId, ca, plan), situation))
const single = (...singles: SinglePlan[]): ResponsePlan => ({ singles })
const reason = (plan: ResponsePlan, situation?: Situation) => {
  const judged = judge(respond(certId, ca, plan), situation)
  return judged.usable ? judged.answer.status : judged.reason
}

describe('RFC 6960 §3.2 (1): the answer is about the certificate that was asked about', () => {
  const id = (fields: Partial<Parameters<typeof certIdDer>[0]>) =>
    certIdDer({ name: ca.subject, point: pointOf(ca.key), serial: serialOf(leaf), ...fields })

  test('it is, in all four fields', () => {
    expect(verdict({})).toBe('good')
    expect(verdict(single({ certId: id({ parameters: Uint8Array.of() }) }))).toBe('good')
  })

  test.each<[string, Uint8Array]>([
    ['another serial number (CVE-2020-8286)', id({ serial: Uint8Array.of(0x12, 0x35) })],
    ['a serial number that begins like it', id({ serial: Uint8Array.of(0x12) })],
    ['another key', id({ point: pointOf(leaf.key) })],
    ['another name', id({ name: leaf.subject })],
    ['another hash than was sent', id({ hash: 'sha256' })],
    [
      'our octets said to be of another hash',
      sequence(
        sequence(oid('1.3.36.3.2.1')),
        octetString(digest('sha1', ca.subject)),
        octetString(digest('sha1', pointOf(ca.key))),
        Uint8Array.of(2, serialOf(leaf).length, ...serialOf(leaf)),
      ),
    ],
    [
      'the key hashed with the octet of unused bits',
      sequence(
        sequence(oid(hashOid.sha1), Uint8Array.of(5, 0)),
        octetString(digest('sha1', ca.subject)),
        octetString(digest('sha1', Uint8Array.of(0, ...pointOf(ca.key)))),
        Uint8Array.of(2, serialOf(leaf).length, ...serialOf(leaf)),
      ),
    ],
  ])('%s', (_, other) => {
    expect(verdict(single({ certId: other }))).toBe('other-certificate')
  })

  test('SHA-256 where SHA-256 was sent; SHA-1 then is another one', () => {
    expect(verdict(single({ certId: id({ hash: 'sha256' }) }), { hash: 'sha256' })).toBe('good')
    expect(verdict({}, { hash: 'sha256' })).toBe('other-certificate')
  })

  test('not the first answer counts, but ours', () => {
    const other = { certId: id({ serial: Uint8Array.of(1) }) }
    expect(verdict(single(other, { status: revoked() }))).toBe('revoked')
    expect(verdict(single({ ...other, status: revoked() }, {}))).toBe('good')
    expect(verdict(single({ ...other, status: revoked() }, { ...other }))).toBe('other-certificate')
  })
})

describe('several answers about our certificate', () => {
  const older = fromNoon(-600)
  test.each<[string, SinglePlan[], string]>([
    ['revoked wins, newer', [{ thisUpdate: older }, { status: revoked() }], 'revoked'],
    ['revoked wins, older', [{}, { status: revoked(), thisUpdate: older }], 'revoked'],
    ['revoked wins over unknown', [{ status: unknown }, { status: revoked(), thisUpdate: older }], 'revoked'],
    ['then the newest: unknown', [{ thisUpdate: older }, { status: unknown }], 'unknown'],
    ['then the newest: good', [{ status: unknown, thisUpdate: older }, {}], 'good'],
    ['of one second, what admits nobody', [{}, { status: unknown }], 'unknown'],
    ['on hold is revoked too', [{}, { status: revoked(older, 6), thisUpdate: older }], 'revoked'],
  ])('%s, in any order', (_, singles, expected) => {
    expect(verdict({ singles })).toBe(expected)
    expect(verdict({ singles: singles.toReversed() })).toBe(expected)
  })
})

describe('RFC 6960 §3.2 (2), (4), §4.2.2.2: it was signed by who may', () => {
  const right = delegate(ca, { key: poolKey(32) })
  const by = (signer: Forged, plan: ResponsePlan = {}): ResponsePlan => ({
    signer: signer.key,
    certificates: [signer.der],
    ...plan,
  })
  const stranger = forge({ subject: 'CA', key: poolKey(40) })

  test('the key of the issuer, named by key or name, its certificate sent along or not', () => {
    expect(verdict({ responderId: byName(ca.subject) })).toBe('good')
    expect(verdict({ certificates: [ca.der] })).toBe('good')
    expect(verdict({ certificates: [], responderId: byKey(ca.key) })).toBe('good')
  })

  test('a delegate of the issuer, named by key or name, among others', () => {
    expect(verdict(by(right))).toBe('good')
    expect(verdict(by(right, { responderId: byName(right.subject) }))).toBe('good')
    expect(verdict(by(right, { certificates: [ca.der, leaf.der, stranger.der, right.der] }))).toBe('good')
    expect(verdict(by(right, { singles: [{ status: revoked() }] }))).toBe('revoked')
  })

  test('certificates that do not parse are passed over, however many', () => {
    const junk = sequence(octetString([1, 2, 3]))
    expect(verdict(by(right, { certificates: [junk, junk, right.der, junk] }))).toBe('good')
    expect(verdict(by(right, { certificates: [junk, junk] }))).toBe('responder')
  })

  const twin = (plan: Parameters<typeof delegate>[1], extra: ResponsePlan = {}) =>
    by(delegate(ca, { key: poolKey(32), ...plan }), extra)
  test.each<[string, ResponsePlan, string]>([
    ['a delegate that does not come along', { signer: right.key }, 'responder'],
    [
      'a delegate without extendedKeyUsage',
      by(forge({ subject: 'responder', issuer: ca, omit: ['2.5.29.37'], extensions: [noCheck] })),
      'responder',
    ],
    ['a delegate for clients only', twin({ extensions: [extKeyUsage([purpose.client])] }), 'responder'],
    ['a client of the same CA', by(leaf), 'responder'],
    ['anyExtendedKeyUsage instead of OCSPSigning', twin({ extensions: [extKeyUsage([purpose.any])] }), 'responder'],
    ['a delegate without digitalSignature', twin({ extensions: [keyUsage(0x20)] }), 'responder'],
    ['a delegate with nonRepudiation alone', twin({ extensions: [keyUsage(0x40)] }), 'responder'],
    ['a delegate that is a CA', twin({ extensions: [basicConstraints(true), keyUsage(0x86)] }), 'responder'],
    ['a delegate that may sign certificates', twin({ extensions: [keyUsage(0x84)] }), 'responder'],
    ['an expired delegate', twin({ notAfter: fromNoon(-1) }), 'responder'],
    ['a delegate that is not valid yet', twin({ notBefore: fromNoon(1) }), 'responder'],
    [
      'a delegate with a critical extension nobody knows',
      twin({ extensions: [{ oid: '1.2.3.4', critical: true, value: Uint8Array.of(5, 0) }] }),
      'responder',
    ],
    ['a delegate that somebody else signed', twin({ signer: poolKey(41) }), 'responder'],
    [
      'a delegate that signed itself',
      by(forge({ subject: 'responder', ca: false, extensions: [extKeyUsage([ocspSigning]), noCheck] })),
      'responder',
    ],
    ['a delegate of a CA with our issuer’s name and another key', by(delegate(stranger)), 'responder'],
    [
      'a delegate of our issuer’s key under another name',
      by(delegate(forge({ subject: 'other CA', key: ca.key }))),
      'responder',
    ],
    ['a delegate of a delegate', by(delegate(right), { certificates: [right.der, delegate(right).der] }), 'responder'],
    ['a CA with our issuer’s name and another key', by(stranger, { responderId: byName(ca.subject) }), 'signature'],
    [
      'the certificate asked about, whose key answers for itself',
      by(leaf, { responderId: byName(leaf.subject) }),
      'responder',
    ],
    ['responderID of the issuer, signature of its delegate', by(right, { responderId: byKey(ca.key) }), 'signature'],
    [
      'responderID of the delegate, signature of the issuer',
      { signer: ca.key, certificates: [right.der], responderId: byKey(right.key) },
      'signature',
    ],
    ['responderID of nobody, by key', by(right, { responderId: byKey(poolKey(42)) }), 'responder'],
    ['responderID of nobody, by name', { responderId: byName(leaf.subject) }, 'responder'],
  ])('refused: %s', (_, plan, flaw) => {
    expect(verdict(plan)).toBe(flaw)
    // Who may not answer may not revoke either.
    expect(verdict({ ...plan, singles: [{ status: revoked() }] })).toBe(flaw)
  })

  test('both ends of a delegate’s validity are inclusive', () => {
    expect(verdict(twin({ notAfter: noon }), { at: at + 999 })).toBe('good')
    expect(verdict(twin({ notAfter: noon }), { at: at + second })).toBe('responder')
    expect(verdict(twin({ notBefore: noon }))).toBe('good')
    expect(verdict(twin({ notBefore: noon }), { at: at - 1 })).toBe('responder')
  })

  test('a delegate of a cross-certificate for the same key and name counts: the key is what certifies', () => {
    const cross = forge({ subject: 'CA', key: ca.key, issuer: stranger, ca: true })
    expect(verdict(by(delegate(cross)))).toBe('good')
    expect(verdict({}, { issuer: cross })).toBe('good')
  })

  test('nonRepudiation beside digitalSignature, and no keyUsage at all, are fine', () => {
    expect(verdict(twin({ extensions: [keyUsage(0xc0)] }))).toBe('good')
    expect(verdict(twin({ omit: ['2.5.29.15'] }))).toBe('good')
    expect(verdict(twin({ extensions: [{ ...noCheck, critical: true }] }))).toBe('good')
  })

  test('an answer ends with the delegate that signed it', () => {
    const judged = judge(respond(certId, ca, twin({ notAfter: fromNoon(60) })))
    expect(judged.usable && [judged.answer.freshUntil, judged.answer.usableUntil]).toEqual([at + 60_999, at + 60_999])
  })

  test('the same delegate is believed at its second answer, and refused in it all the same where something changed', () => {
    const plan = by(right)
    const issuer = Certificate.parse(ca.der)
    const question = { issuer, certId: certIdOf(Certificate.parse(leaf.der), issuer, 'sha1'), nonce: undefined }
    const again = (moment: number, accepted = profile) =>
      verdictOf(judgeOcspResponse(respond(certId, ca, plan), question, moment, policy, accepted))
    expect([again(at), again(at)]).toEqual(['good', 'good'])
    expect(again(at + 2 * day)).toBe('responder')
    expect(again(at, resolveProfile({ curves: ['P-384'] }))).toBe('responder')
    expect(again(at, resolveProfile({ signatureAlgorithms: ['ecdsa-with-SHA384'] }))).toBe('responder')
  })

  describe('delegates without ocsp-nocheck', () => {
    const bare = forge({ subject: 'responder', issuer: ca, key: poolKey(33), extensions: [extKeyUsage([ocspSigning])] })
    test('are not believed unless that is said', () => {
      expect(verdict(by(right))).toBe('good')
      expect(verdict(by(bare))).toBe('responder')
      expect(reason(by(bare))).toContain('it lacks ocsp-nocheck')
      expect(verdict(by(bare), { policy: { delegates: 'unchecked' } })).toBe('good')
    })

    test('are handed on where somebody else knows; those with it are not', () => {
      const judged = judge(respond(certId, ca, by(bare)), { policy: { delegates: 'checked' } })
      expect(judged.usable && judged.answer.unchecked?.subject.toString()).toBe('CN=responder')
      const told = judge(respond(certId, ca, by(right)), { policy: { delegates: 'checked' } })
      expect(told.usable && told.answer.unchecked).toBeUndefined()
    })
  })

  describe('responders that are configured', () => {
    const own = forge({ subject: 'own responder', ca: true, key: poolKey(34) })
    const responders = [Certificate.parse(own.der)]
    test('are believed by themselves, their certificate sent along or not', () => {
      expect(verdict({ signer: own.key }, { policy: { responders } })).toBe('good')
      expect(verdict(by(own), { policy: { responders } })).toBe('good')
      expect(verdict(by(own, { responderId: byName(own.subject) }), { policy: { responders } })).toBe('good')
      expect(verdict(by(own))).toBe('responder')
    })

    test('are no reason to believe another key of their name', () => {
      const impostor = forge({ subject: 'own responder', ca: true, key: poolKey(35) })
      expect(verdict(by(impostor, { responderId: byName(own.subject) }), { policy: { responders } })).toBe('signature')
    })

    test('end with their certificate, and have an acceptable key', () => {
      const expired = forge({ subject: 'own responder', key: poolKey(34), notAfter: fromNoon(-1) })
      const situation = { policy: { responders: [Certificate.parse(expired.der)] } }
      expect(verdict({ signer: own.key }, situation)).toBe('responder')
      expect(reason({ signer: own.key }, situation)).toBe(
        'the configured responder "CN=own responder" ended 2026-11-20T11:59:59Z',
      )
      expect(verdict({ signer: own.key }, { policy: { responders }, profile: { curves: ['P-384'] } })).toBe('responder')
    })
  })

  test('its algorithm is one the profile accepts', () => {
    const sha1: ResponsePlan = { algorithm: [sequence(oid('1.2.840.10045.4.1')), 'sha1'] }
    expect(verdict(sha1)).toBe('algorithm')
    expect(verdict(sha1, { profile: { signatureAlgorithms: ['ecdsa-with-SHA1'] } })).toBe('good')
    expect(verdict({ algorithm: [sequence(oid('1.2.840.10045.4.3.2'), Uint8Array.of(5, 0)), 'sha256'] })).toBe(
      'algorithm',
    )
  })
})

describe('RFC 6960 §3.2 (5), (6): it is recent', () => {
  const skew = 5 * minute
  test('thisUpdate up to the skew in the future', () => {
    const plan = single({ thisUpdate: noon })
    expect(verdict(plan, { at: at - skew })).toBe('good')
    expect(verdict(plan, { at: at - skew - 1 })).toBe('not-yet-valid')
    expect(verdict(single({ thisUpdate: noon, status: revoked() }), { at: at - skew - 1 })).toBe('not-yet-valid')
  })

  test('producedAt up to the skew in the future', () => {
    expect(verdict({ producedAt: noon }, { at: at - skew })).toBe('good')
    expect(verdict({ producedAt: noon }, { at: at - skew - 1 })).toBe('not-yet-valid')
  })

  test('nextUpdate up to the skew in the past', () => {
    const plan = single({ nextUpdate: noon })
    expect(verdict(plan, { at: at + skew })).toBe('good')
    expect(verdict(plan, { at: at + skew + 1 })).toBe('stale')
  })

  test('without a skew, to the millisecond', () => {
    const [exact, plan] = [{ skew: 0 }, single({ thisUpdate: noon, nextUpdate: fromNoon(1) })]
    const moments = [-1, 0, second, second + 1].map((offset) =>
      verdict({ ...plan, producedAt: fromNoon(-9) }, { at: at + offset, policy: exact }),
    )
    expect(moments).toEqual(['not-yet-valid', 'good', 'good', 'stale'])
  })

  test('without nextUpdate, as long as it is young', () => {
    const plan = single({ thisUpdate: noon, nextUpdate: false })
    const judged = judge(respond(certId, ca, { ...plan, producedAt: noon }))
    expect(judged.usable && [judged.answer.freshUntil - at, judged.answer.usableUntil - at]).toEqual([
      5 * minute,
      10 * minute,
    ])
    expect(verdict(plan, { at: at + 10 * minute })).toBe('good')
    expect(verdict(plan, { at: at + 10 * minute + 1 })).toBe('stale')
  })

  test('with nextUpdate, no longer than maxAge', () => {
    const plan = single({ thisUpdate: fromNoon(-7 * 86_400 - 300), nextUpdate: fromNoon(7200) })
    expect(verdict(plan)).toBe('good')
    expect(verdict(plan, { at: at + 1 })).toBe('stale')
    expect(reason(plan, { at: at + 1 })).toContain('older than maxAgeSeconds allows')
    expect(
      verdict(plan, { at: at + 1, policy: { maxAge: { withNextUpdate: 8 * day, withoutNextUpdate: hour } } }),
    ).toBe('good')
  })

  test('what was revoked for good stays so, however old the answer; what was on hold may have come back', () => {
    const old = { thisUpdate: fromNoon(-3 * 86_400), nextUpdate: fromNoon(-2 * 86_400) }
    for (const [number, expected] of [
      [undefined, 'revoked'],
      [1, 'revoked'],
      [6, 'stale'],
      [8, 'stale'],
    ] as const) {
      expect(verdict(single({ ...old, status: revoked(fromNoon(-4 * 86_400), number) }))).toBe(expected)
    }
    expect(verdict(single(old))).toBe('stale')
  })

  test('a revocation that lies in the future is one', () => {
    expect(verdict(single({ status: revoked(fromNoon(3600)) }))).toBe('revoked')
  })
})

describe('nonces (RFC 9654)', () => {
  const [ours, theirs] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
  const required = { policy: { nonce: 'required' as const }, nonce: ours }
  const preferred = { policy: { nonce: 'preferred' as const }, nonce: ours }
  const raw = (value: Uint8Array) => ({ oid: '1.3.6.1.5.5.7.48.1.2', critical: false, value })

  test('ours comes back', () => {
    expect(verdict({ extensions: [nonceExtension(ours)] }, required)).toBe('good')
    expect(verdict({ extensions: [nonceExtension(ours, true)] }, preferred)).toBe('good')
  })

  test.each<[string, ResponsePlan]>([
    ['another one', { extensions: [nonceExtension(theirs)] }],
    ['a part of it', { extensions: [nonceExtension(ours.subarray(0, 16))] }],
    ['more than it', { extensions: [nonceExtension(Buffer.concat([ours, ours]))] }],
    ['it without its OCTET STRING', { extensions: [raw(ours)] }],
    ['nothing in it', { extensions: [raw(Buffer.alloc(0))] }],
  ])('%s is another request’s', (_, plan) => {
    expect(verdict(plan, required)).toBe('nonce')
    expect(verdict(plan, preferred)).toBe('nonce')
    // Who sent none takes answers that others asked for.
    expect(verdict(plan)).toBe('good')
  })

  test('what was revoked for good is so in an answer to whomever', () => {
    const plan = { extensions: [nonceExtension(theirs)], singles: [{ status: revoked() }] }
    expect(verdict(plan, required)).toBe('revoked')
    expect(verdict({ ...plan, singles: [{ status: revoked(noon, 6) }] }, required)).toBe('nonce')
  })

  test('none is enough where it is preferred', () => {
    expect(verdict({}, preferred)).toBe('good')
    expect(verdict({}, required)).toBe('nonce')
  })
})

describe('extensions', () => {
  const extension = (critical: boolean) => [{ oid: '1.3.6.1.4.1.99999.1', critical, value: Uint8Array.of(5, 0) }]
  test('one that is critical and unknown makes the answer unusable; its twin is passed over', () => {
    expect(verdict({ extensions: extension(true) })).toBe('extension')
    expect(verdict({ extensions: extension(false) })).toBe('good')
    expect(verdict(single({ extensions: extension(true) }))).toBe('extension')
    expect(verdict(single({ extensions: extension(false) }))).toBe('good')
  })

  test('in an answer about somebody else it is not our business', () => {
    const certIdOfOther = certIdDer({ name: ca.subject, point: pointOf(ca.key), serial: Uint8Array.of(9) })
    expect(verdict(single({ certId: certIdOfOther, extensions: extension(true) }, {}))).toBe('good')
  })
})

describe('error statuses are unsigned, and no information', () => {
  test.each([
    [1, 'malformedRequest'],
    [2, 'internalError'],
    [3, 'tryLater'],
    [5, 'sigRequired'],
    [6, 'unauthorized'],
  ])('%i is %s', (number, flaw) => {
    expect(verdictOf(judge(errorResponse(number)))).toBe(flaw)
  })
})

describe('statuses', () => {
  test('good, revoked with reason and time, unknown', () => {
    expect(verdict(single({ status: good }))).toBe('good')
    expect(verdict(single({ status: unknown }))).toBe('unknown')
    const judged = judge(respond(certId, ca, single({ status: revoked(fromNoon(-3600), 1) })))
    expect(judged).toMatchObject({ answer: { status: 'revoked', reason: 'keyCompromise', since: at - hour } })
  })
})

describe('octets that were tampered with', () => {
  const original = respond(certId, ca, { singles: [{ status: revoked(fromNoon(-3600), 6) }] })
  const fine = respond(certId, ca, { certificates: [ca.der] })

  test('no single bit makes a revoked certificate good', () => {
    for (let bit = 0; bit < original.length * 8; bit++) {
      const octets = Uint8Array.from(original)
      octets[bit >> 3] = (octets[bit >> 3] as number) ^ (1 << (bit & 7))
      expect(verdictOf(judge(octets))).not.toBe('good')
    }
  })

  test('no single bit of what is signed, or of the signature, is missed', () => {
    const signed = fine.length - ca.der.length - 8
    for (let bit = 0; bit < signed * 8; bit++) {
      const octets = Uint8Array.from(fine)
      octets[bit >> 3] = (octets[bit >> 3] as number) ^ (1 << (bit & 7))
      expect([bit, verdictOf(judge(octets))]).not.toEqual([bit, 'good'])
    }
  })

  test('random octets, and responses with stretches replaced, neither throw nor admit', () => {
    const { below } = dice(7)
    for (let round = 0; round < 3_000; round++) {
      const octets = Uint8Array.from(original)
      const from = below(octets.length)
      for (let i = from; i < Math.min(octets.length, from + 1 + below(12)); i++) octets[i] = below(256)
      expect(verdictOf(judge(octets.subarray(0, octets.length - (round % 3 === 0 ? below(20) : 0))))).not.toBe('good')
    }
  })

  test('the time of one answer on another', () => {
    const stale = respond(certId, ca, single({ thisUpdate: fromNoon(-9e5), nextUpdate: fromNoon(-8e5) }))
    const spliced = Buffer.from(stale)
    const old = Buffer.from(generalizedTime(fromNoon(-8e5)))
    spliced.set(generalizedTime(fromNoon(3600)), spliced.indexOf(old))
    expect(verdictOf(judge(stale))).toBe('stale')
    expect(verdictOf(judge(spliced))).toBe('signature')
  })
})

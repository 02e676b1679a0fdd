import { describe, expect, test } from '@jest/globals'
import { answer, type Surroundings, sentence, verdict } from '../support/crl-answers.js'
import { type CrlPlan, cRLDistributionPoints, forgeCrl, type Reason, unknownExtension } from '../support/crl-forge.js'
import { keyUsage, uri } from '../support/path-der.js'
import { forge, fromNoon, poolKey } from '../support/path-forge.js'

/** Delta CRLs: RFC 5280 §5.2.4, §6.3.3 (c), (i) to (k). */
const root = forge({ subject: 'Root', key: poolKey(40) })
const leaf = forge({ issuer: root, serial: 7 })

const complete = (plan: CrlPlan = {}) => forgeCrl(root, { number: 10, thisUpdate: -7200, ...plan })
const delta = (plan: CrlPlan = {}) => forgeCrl(root, { number: 12, base: 10, thisUpdate: -3600, ...plan })
const lists = (reason?: Reason): Pick<CrlPlan, 'entries'> => ({
  entries: [reason === undefined ? { serial: 7 } : { serial: 7, reason }],
})
const [held, removed, revoked] = [lists('certificateHold'), lists('removeFromCRL'), lists('keyCompromise')]

/** The same in both orders of supply. */
async function ask(crls: readonly Uint8Array[], more: Partial<Surroundings> = {}): Promise<string> {
  const verdicts = [crls, crls.toReversed()].map((list) => verdict(leaf, { anchors: [root], crls: list, ...more }))
  const [one, other] = await Promise.all(verdicts)
  expect(other).toBe(one)
  return one as string
}

describe('what both say', () => {
  test.each<{ name: string; base?: CrlPlan; newer?: CrlPlan; says: string }>([
    { name: 'neither lists it', says: 'good' },
    { name: 'the complete CRL lists it, the delta says nothing', base: revoked, says: 'revoked @0 keyCompromise' },
    { name: 'the delta lists it', newer: revoked, says: 'revoked @0 keyCompromise' },
    { name: 'on hold in the complete CRL, removed in the delta', base: held, newer: removed, says: 'good' },
    {
      name: 'compromised in the complete CRL, removed in the delta: nobody gets a key back',
      base: revoked,
      newer: removed,
      says: 'revoked @0 keyCompromise',
    },
    { name: 'listed without a reason, removed in the delta', base: lists(), newer: removed, says: 'revoked @0' },
    { name: 'on hold in the complete CRL', base: held, says: 'revoked @0 certificateHold' },
    { name: 'on hold, then revoked', base: held, newer: revoked, says: 'revoked @0 keyCompromise' },
    { name: 'put on hold since', newer: held, says: 'revoked @0 certificateHold' },
    { name: 'removed without having been listed', newer: removed, says: 'good' },
  ])('$name: $says', async ({ base, newer, says }) => {
    expect(await ask([complete(base), delta(newer)])).toBe(says)
  })

  test('a removal and a revocation in one delta CRL is a revocation', async () => {
    const both = [...(removed.entries ?? []), ...(revoked.entries ?? [])]
    expect(await ask([complete(held), delta({ entries: both })])).toBe('revoked @0 keyCompromise')
    expect(await ask([complete(held), delta({ entries: both.toReversed() })])).toBe('revoked @0 keyCompromise')
  })

  test('the answer ends with the first of the two', async () => {
    const until = async (base: number, newer: number) => {
      const crls = [complete({ nextUpdate: base }), delta({ nextUpdate: newer })]
      return answer(leaf, { anchors: [root], crls })
    }
    expect(await until(60, 30)).toEqual({ status: 'good', validUntil: fromNoon(30) })
    expect(await until(30, 60)).toEqual({ status: 'good', validUntil: fromNoon(30) })
  })
})

describe('(c): which complete CRL a delta CRL goes with', () => {
  /** The complete CRL has it on hold; only a delta CRL that may be combined takes it off. */
  test.each<{ name: string; base?: CrlPlan; newer?: CrlPlan; combined: boolean }>([
    { name: 'starts from this one', combined: true },
    { name: 'starts from an older one', newer: { base: 9 }, combined: true },
    { name: 'starts from a newer one', newer: { base: 11 }, combined: false },
    { name: 'has the next number', newer: { number: 11 }, combined: true },
    { name: 'has the same number', newer: { number: 10 }, combined: false },
    { name: 'has a lower number', newer: { number: 9, base: 8 }, combined: false },
    { name: 'was issued in the same second', newer: { thisUpdate: -7200 }, combined: true },
    { name: 'was issued before it', newer: { thisUpdate: -7201 }, combined: false },
    { name: 'names no key, nor does the complete one', base: { names: null }, newer: { names: null }, combined: true },
    { name: 'names no key', newer: { names: null }, combined: false },
    { name: 'names a key, the complete one does not', base: { names: null }, combined: false },
    { name: 'names another key', newer: { names: poolKey(50) }, combined: false },
    { name: 'has ended', newer: { nextUpdate: -1 }, combined: false },
    { name: 'has no nextUpdate', newer: { nextUpdate: null }, combined: false },
    { name: 'has not begun', newer: { thisUpdate: 1 }, combined: false },
    { name: 'is forged', newer: { signer: poolKey(50), names: root.key }, combined: false },
  ])('$name: combined is $combined', async ({ base, newer, combined }) => {
    expect(await ask([complete({ ...held, ...base }), delta({ ...removed, ...newer })])).toBe(
      combined ? 'good' : 'revoked @0 certificateHold',
    )
    // Without it the complete CRL speaks alone.
    expect(await ask([complete(base), delta(newer)])).toBe('good')
  })

  test('none with a complete CRL of version 1, which has no number', async () => {
    const version1 = complete({ version: 1, ...lists() })
    expect(await ask([version1, delta(removed)])).toBe('revoked @0')
    expect(await ask([complete({ version: 1 }), delta(revoked)])).toBe('revoked @0 keyCompromise')
  })

  test('a revocation is heard from every delta CRL that is newer and signed, whether it may be combined or not', async () => {
    for (const plan of [
      { base: 11 },
      { names: poolKey(50) },
      { names: null },
      { nextUpdate: -1 },
      { nextUpdate: null },
    ]) {
      expect(await ask([complete(), delta({ ...revoked, ...plan })])).toBe('revoked @0 keyCompromise')
    }
    expect(await ask([complete(), delta({ ...revoked, signer: poolKey(50) })])).toBe('good')
    expect(await ask([complete(), delta({ ...revoked, thisUpdate: 1 })])).toBe('good')
  })

  test('one that is older than the complete CRL was overtaken by it', async () => {
    const older = { number: 9, base: 8, thisUpdate: -9000 }
    expect(await ask([complete(), delta({ ...held, ...older })])).toBe('good')
    expect(await ask([complete(held), delta({ ...removed, ...older })])).toBe('revoked @0 certificateHold')
    // The same number is the same moment: §5.2.3 has both issued together.
    expect(await ask([complete(), delta({ ...held, number: 10, base: 8, thisUpdate: -7200 })])).toBe('good')
  })

  test('older by number and newer by time, or the other way round, it is heard where it revokes', async () => {
    for (const odd of [{ number: 9, base: 8 }, { thisUpdate: -9000 }]) {
      expect(await ask([complete(), delta({ ...revoked, ...odd })])).toBe('revoked @0 keyCompromise')
      expect(await ask([complete(held), delta({ ...removed, ...odd })])).toBe('revoked @0 certificateHold')
    }
  })

  test('newer than one of two complete CRLs that contradict each other, it is heard where it revokes', async () => {
    // Of one second, one numbered far ahead: the delta CRL follows the other.
    const [ahead, base] = [complete({ number: 20 }), complete()]
    const same = { thisUpdate: -7200 }
    expect(await ask([ahead, base, delta({ ...revoked, ...same })])).toBe('revoked @0 keyCompromise')
    expect(await ask([ahead, delta({ ...revoked, ...same })])).toBe('good')
    expect(await ask([complete({ number: 20, ...held }), base, delta({ ...removed, ...same })])).toBe(
      'revoked @0 certificateHold',
    )
  })

  test('of another scope, it is about others', async () => {
    const [here, there] = ['http://crl.test/1', 'http://crl.test/2'].map((url) => ({ fullName: [uri(url)] }))
    const pointed = forge({ issuer: root, serial: 7, extensions: [cRLDistributionPoints(here ?? {})] })
    const askPointed = (...crls: Uint8Array[]) => verdict(pointed, { anchors: [root], crls })
    const [scope, other] = [{ scope: here }, { scope: there }] as [CrlPlan, CrlPlan]
    expect(await askPointed(complete({ ...held, ...scope }), delta({ ...removed, ...scope }))).toBe('good')
    expect(await askPointed(complete({ ...held, ...scope }), delta({ ...removed, ...other }))).toBe(
      'revoked @0 certificateHold',
    )
    expect(await askPointed(complete({ ...held, ...scope }), delta(removed))).toBe('revoked @0 certificateHold')
    expect(await askPointed(complete(held), delta({ ...removed, ...scope }))).toBe('revoked @0 certificateHold')
    expect(await askPointed(complete(scope), delta({ ...revoked, ...other }))).toBe('good')
    expect(await askPointed(complete(scope), delta({ ...revoked, ...scope }))).toBe('revoked @0 keyCompromise')
  })
})

describe('a delta CRL alone', () => {
  test('does not make good; it revokes all the same', async () => {
    expect(await ask([delta()])).toBe('unknown @0')
    expect(await ask([delta(removed)])).toBe('unknown @0')
    expect(await ask([delta(revoked)])).toBe('revoked @0 keyCompromise')
    expect(await sentence(leaf, { anchors: [root], crls: [delta()] })).toBe(
      'there is a delta CRL of "CN=Root" (./test.crl) and no complete one — add the complete CRL it starts from',
    )
  })

  test('does not prolong the complete one', async () => {
    expect(await ask([complete({ nextUpdate: -1 }), delta()])).toBe('unknown @0')
    expect(await ask([complete({ nextUpdate: 0 }), delta()])).toBe('good')
    expect(await ask([complete({ nextUpdate: -1, ...held }), delta(removed)])).toBe('unknown @0')
  })

  test('whose complete CRL is forged', async () => {
    expect(await ask([complete({ signer: poolKey(50) }), delta()])).toBe('unknown @0')
  })

  test('not understood, it makes the pair useless: it may say what we cannot read', async () => {
    const odd = { extensions: [unknownExtension(true)] }
    expect(await ask([complete(), delta(odd)])).toBe('unknown @0')
    expect(await ask([complete(), delta({ extensions: [unknownExtension(false)] })])).toBe('good')
    expect(await ask([complete(), delta({ ...odd, number: 9, base: 8, thisUpdate: -9000 })])).toBe('good')
  })
})

describe('several delta CRLs', () => {
  test('the newest that starts from the same CRL says it all', async () => {
    const [older, newer] = [{ number: 11, thisUpdate: -5000 }, { number: 12 }]
    expect(await ask([complete(), delta({ ...held, ...older }), delta(newer)])).toBe('good')
    expect(await ask([complete(held), delta({ ...removed, ...older }), delta({ ...revoked, ...newer })])).toBe(
      'revoked @0 keyCompromise',
    )
    expect(await ask([complete(held), delta(older), delta({ ...removed, ...newer })])).toBe('good')
    expect(await ask([complete(), delta(older), delta({ ...revoked, ...newer })])).toBe('revoked @0 keyCompromise')
  })

  test('one that starts later does not make forget what the one before says', async () => {
    // 12 tells what happened since 11, which is not here: what 11 told of itself is still true.
    const [eleven, twelve] = [
      { number: 11, base: 10, thisUpdate: -5000 },
      { number: 12, base: 11 },
    ]
    expect(await ask([complete(), delta({ ...revoked, ...eleven }), delta(twelve)])).toBe('revoked @0 keyCompromise')
    expect(await ask([complete(), delta(eleven), delta(twelve)])).toBe('good')
    // The twin: with the complete CRL 11, which does not list it.
    const base = complete({ number: 11, thisUpdate: -5000 })
    expect(await ask([base, delta({ ...held, ...eleven }), delta(twelve)])).toBe('good')
  })

  test('tied, the one that revokes is heard', async () => {
    expect(await ask([complete(held), delta(removed), delta({ ...revoked, number: 13 })])).toBe(
      'revoked @0 keyCompromise',
    )
    expect(await ask([complete(held), delta({ ...removed, number: 13 }), delta(revoked)])).toBe(
      'revoked @0 keyCompromise',
    )
  })
})

test('(f): a delta CRL, too, is good no longer than its signer', async () => {
  const signer = forge({
    subject: 'Root',
    issuer: root,
    key: poolKey(47),
    serial: 31,
    notAfter: fromNoon(60),
    extensions: [keyUsage(0x02)],
  })
  const crls = [complete(), delta({ signer: signer.key })]
  const status = await answer(leaf, { anchors: [root], via: [signer], crls })
  expect(status).toEqual({ status: 'good', validUntil: new Date(fromNoon(60).getTime() + 999) })
  expect(
    await verdict(leaf, {
      anchors: [root],
      via: [signer],
      crls: [complete(), delta({ ...revoked, signer: signer.key })],
    }),
  ).toBe('revoked @0 keyCompromise')
})

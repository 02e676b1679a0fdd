import { describe, expect, test } from '@jest/globals'
import { limits } from '../../src/limits.js'
import { CrlHoldings } from '../../src/revocation/crl-holdings.js'
import { KnownCrl } from '../../src/revocation/known-crl.js'
import { asker, known, verdictOf } from '../support/crl-answers.js'
import { type CrlPlan, forgeCrl } from '../support/crl-forge.js'
import { keyUsage } from '../support/path-der.js'
import { type Forged, forge, poolKey } from '../support/path-forge.js'

const hour = 3600
const root = forge({ subject: 'Root', key: poolKey(40) })
const stranger = poolKey(50)
const leaf = forge({ issuer: root, serial: 7 })
const lists = { entries: [{ serial: 7 }] }

/** The n-th CRL of the root. */
const numbered = (n: number, plan: CrlPlan = {}) => forgeCrl(root, { number: n, thisUpdate: -hour + 60 * n, ...plan })
const forged = (n: number, plan: CrlPlan = {}) => numbered(n, { ...plan, signer: stranger, names: root.key })

const askAbout = asker(leaf, { anchors: [root] })

/** Sources that offer octets, as files and addresses do; what was read of the same octets before is used again. */
function holdings() {
  const held = new CrlHoldings()
  return {
    held,
    offer(source: string, ...crls: Uint8Array[]) {
      const before = held.offeredBy(source)
      const same = (crl: Uint8Array) => before.find((each) => Buffer.compare(each.crl.der, crl) === 0)
      held.offer(
        source,
        crls.map((crl) => same(crl) ?? known(crl)),
      )
    },
    ask: async () => verdictOf(await askAbout(held.current().all)),
    numbers: () => held.current().all.map(({ crl }) => Number(crl.extensions.cRLNumber)),
  }
}

describe('R-15: a source that offers less than before', () => {
  test('an older CRL does not displace a newer that was found to be signed', async () => {
    const { held, offer, ask, numbers } = holdings()
    offer('file', numbered(2, lists))
    expect(await ask()).toBe('revoked @0')
    offer('file', numbered(1))
    expect(await ask()).toBe('revoked @0')
    expect(numbers()).toEqual([1, 2])
    expect(held.offered().map(({ crl }) => crl.extensions.cRLNumber)).toEqual([1n])
    // The twin: a newer one does.
    offer('file', numbered(3))
    expect(await ask()).toBe('good')
    offer('file', numbered(4))
    expect(numbers()).toEqual([4, 3])
    expect(await ask()).toBe('good')
    offer('file', numbered(5))
    expect(numbers()).toEqual([5, 4])
  })

  test('nor one that nobody asked about yet: it may be signed', async () => {
    const { offer, ask } = holdings()
    offer('file', numbered(2, lists))
    offer('file', numbered(1))
    expect(await ask()).toBe('revoked @0')
  })

  test('nor does nothing at all: an empty list, or a source that is forgotten', async () => {
    for (const isAsked of [true, false]) {
      const { held, offer, ask } = holdings()
      offer('file', numbered(2, lists))
      if (isAsked) await ask()
      offer('file')
      expect(await ask()).toBe('revoked @0')
      held.forget('file')
      expect(held.offeredBy('file')).toEqual([])
      expect(await ask()).toBe('revoked @0')
    }
  })

  test('a newer one that is forged displaces nothing, before it was asked about as after', async () => {
    for (const isAsked of [true, false]) {
      const { offer, ask, numbers } = holdings()
      offer('file', numbered(2, lists))
      if (isAsked) await ask()
      offer('file', forged(3))
      expect(await ask()).toBe('revoked @0')
      offer('file', forged(4))
      expect(await ask()).toBe('revoked @0')
      offer('file', numbered(1))
      expect(await ask()).toBe('revoked @0')
      // Nobody knows that they are forged, until the CA has published one that is newer.
      expect(numbers()).toEqual([1, 2, 3, 4])
      offer('file', numbered(5))
      expect(await ask()).toBe('good')
      offer('file', numbered(6))
      expect(numbers()).toEqual([6, 5])
    }
  })

  test('nor one whose signer was not at hand when it was asked about', async () => {
    const signer = forge({ subject: 'Root', issuer: root, key: poolKey(52), extensions: [keyUsage(0x02)] })
    const { held, offer } = holdings()
    offer('file', numbered(2, { ...lists, signer: signer.key }), numbered(1))
    const askWith = async (...via: Forged[]) =>
      verdictOf(await asker(leaf, { anchors: [root], via })(held.current().all))
    expect(await askWith()).toBe('good')
    offer('file', numbered(1))
    expect(await askWith(signer)).toBe('revoked @0')
  })

  test('what one source offers, another does not take away', async () => {
    const { offer, ask, numbers } = holdings()
    offer('a', numbered(2, lists))
    offer('b', numbered(1))
    expect(await ask()).toBe('revoked @0')
    offer('b', numbered(3))
    expect(await ask()).toBe('good')
    offer('a', numbered(1))
    expect(await ask()).toBe('good')
    expect(numbers()).toEqual([3, 1])
  })

  test('another scope does not displace, nor do complete and delta CRLs each other', async () => {
    const { offer, ask } = holdings()
    offer('file', numbered(2, { ...lists, scope: { userCerts: true } }))
    expect(await ask()).toBe('revoked @0')
    offer('file', numbered(3))
    expect(await ask()).toBe('revoked @0')

    const second = holdings()
    const complete = numbered(2)
    second.offer('file', complete, numbered(3, { ...lists, base: 2 }))
    expect(await second.ask()).toBe('revoked @0')
    second.offer('file', complete)
    expect(await second.ask()).toBe('revoked @0')
    expect(second.numbers()).toEqual([2, 3])
    // A complete CRL that is newer knows what the delta CRL said.
    second.offer('file', numbered(4))
    expect(await second.ask()).toBe('good')
    second.offer('file', numbered(5))
    expect(second.numbers()).toEqual([5, 4])
  })

  test('a CRL of another CA of the same name displaces none: it was signed with another key', async () => {
    const namesake = forge({ subject: 'Root', key: poolKey(51) })
    const { offer, held, ask, numbers } = holdings()
    offer('a', numbered(2, lists))
    offer('b', forgeCrl(namesake, { number: 9, thisUpdate: -60 }))
    expect(await ask()).toBe('revoked @0')
    // Under its own anchor the other is signed.
    const other = forge({ issuer: namesake, serial: 9 })
    expect(verdictOf(await asker(other, { anchors: [namesake] })(held.current().all))).toBe('good')
    offer('a', numbered(1))
    expect(numbers()).toEqual([9, 1, 2])
    expect(await ask()).toBe('revoked @0')
  })

  test('nor does it displace one that nobody has asked about yet, and that names its own key', async () => {
    const namesake = forge({ subject: 'Root', key: poolKey(51) })
    const other = forge({ issuer: namesake, serial: 9 })
    const afterReplay = async (plan: CrlPlan) => {
      const { offer, held, ask } = holdings()
      offer('a', numbered(2, { ...lists, ...plan }))
      offer('b', forgeCrl(namesake, { number: 9, thisUpdate: -60 }))
      expect(verdictOf(await asker(other, { anchors: [namesake] })(held.current().all))).toBe('good')
      offer('a', numbered(1))
      return ask()
    }
    expect(await afterReplay({})).toBe('revoked @0')
    // The twin says itself that it is of the other key, which has signed a newer one.
    expect(await afterReplay({ names: namesake.key })).toBe('good')
  })
})

describe('generation', () => {
  test('rises where something changed, and nowhere else', async () => {
    const { held, offer, ask } = holdings()
    const seen = [held.generation]
    const note = () => seen.push(held.generation)
    const [one, two] = [numbered(1), numbered(2)]
    offer('file', one)
    note()
    offer('file', Uint8Array.from(one))
    note()
    await ask()
    note()
    offer('file', one, two)
    note()
    offer('file', one, two)
    note()
    offer('other')
    note()
    offer('file')
    note()
    held.forget('nobody')
    note()
    expect(seen).toEqual([0, 1, 1, 1, 2, 2, 2, 3, 3])
  })

  test('the set of before stays as it was', () => {
    const { held, offer } = holdings()
    offer('file', numbered(1))
    const before = held.current()
    offer('file', numbered(2))
    expect(before.all.map(({ crl }) => crl.extensions.cRLNumber)).toEqual([1n])
    expect(held.current()).not.toBe(before)
    expect(Object.isFrozen(before.all)).toBe(true)
  })
})

describe('memory', () => {
  test('a source that goes back and forth between two CRLs is kept once', async () => {
    const { offer, ask, held } = holdings()
    const [one, two] = [numbered(1), numbered(2, lists)]
    for (let i = 0; i < 20; i++) {
      offer('file', two)
      if (i > 0) expect(await ask()).toBe('revoked @0')
      offer('file', one)
      expect(held.current().all.length).toBe(2)
    }
    // Read again, it is the one that was found to be signed.
    offer('file', two)
    expect(held.current().all.map(({ signer }) => signer !== undefined)).toEqual([true])
  })

  test('a CA that publishes every hour is kept twice: what it offers, and what nobody found to be replaced yet', async () => {
    const { offer, ask, held } = holdings()
    for (let n = 1; n < 50; n++) {
      offer('file', numbered(n))
      await ask()
      expect(held.current().all.length).toBeLessThanOrEqual(2)
    }
  })

  const { crl, index } = known(numbered(1))
  /** A CRL of these octets, of which nothing else is looked at. */
  const made = (der: Uint8Array, more: Partial<KnownCrl> = {}) =>
    Object.assign(new KnownCrl(Object.create(crl, { der: { value: der } }), index, './made.crl'), more)

  test('of CRLs that nobody found to be signed, limits.crlsUnsigned: the last', async () => {
    const { offer, numbers, ask } = holdings()
    const keptAfter = (count: number) => {
      for (let n = 1; n <= count; n++) offer('file', forged(n))
      offer('file')
      return numbers()
    }
    const all = Array.from({ length: limits.crlsUnsigned }, (_, n) => n + 1)
    expect(keptAfter(limits.crlsUnsigned)).toEqual(all)
    expect(keptAfter(limits.crlsUnsigned + 1)).toEqual(all.map((n) => n + 1))
    expect(await ask()).toBe('unknown @0')
    expect(keptAfter(1).length).toBe(limits.crlsUnsigned)
  })

  test('and no more octets of them than one may have: the last', () => {
    const held = new CrlHoldings()
    let count = 0
    const offer = (octets: number) => {
      const der = new Uint8Array(octets)
      der[0] = ++count
      const one = made(der)
      held.offer('file', [one])
      return one
    }
    const half = limits.crlBytes / 2
    const [a, b, c] = [offer(half), offer(half), offer(1)]
    expect(held.current().all).toEqual([c, a, b])
    const d = offer(1)
    expect(held.current().all).toEqual([d, b, c])
    const e = offer(limits.crlBytes + 1)
    expect(held.current().all).toEqual([e, b, c, d])
    const f = offer(1)
    expect(held.current().all).toEqual([f])
  })

  test('of signed ones that are not replaced, limits.crlsKept: the last', () => {
    const held = new CrlHoldings()
    // Each of a scope of its own: a CA that renames itself.
    const several = Array.from({ length: limits.crlsKept + 3 }, (_, n) =>
      made(Buffer.from(`${n}`), { scope: `${n}`, signer: root.key.spki }),
    )
    held.offer('file', several.slice(0, limits.crlsKept))
    held.offer('file', [])
    expect(held.current().all.length).toBe(limits.crlsKept)
    held.offer('file', several)
    held.offer('file', [])
    expect(held.current().all.map(({ scope }) => Number(scope))).toEqual(
      Array.from({ length: limits.crlsKept }, (_, n) => n + 3),
    )
  })
})

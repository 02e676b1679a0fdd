import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { DomainSet, NetworkSet } from '../../src/path/subtree-sets.js'

describe('a set of domains', () => {
  const label = fc.constantFrom('a', 'b', 'ab', 'test', 'x')
  const domain = fc.array(label, { maxLength: 5 }).map((labels) => labels.join('.'))

  /** RFC 5280 §4.2.1.10, read aloud: the domain, or zero or more labels added to its left. */
  const isWithin = (name: string, base: string) => base === '' || name === base || name.endsWith(`.${base}`)

  test('holds what lies in one of them, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(domain, { maxLength: 6 }), domain, (domains, name) => {
        const set = new DomainSet()
        for (const each of domains) set.add(each)
        expect(set.holds(name)).toBe(domains.some((base) => isWithin(name, base)))
        const below = name !== '' && domains.some((base) => name !== base && isWithin(name, base))
        if (name !== '') expect(set.holdsBelow(name)).toBe(below)
      }),
      { numRuns: 2_000 },
    )
  })

  test('does not hold a name that only ends in the same letters', () => {
    const set = new DomainSet()
    set.add('acme.test')
    expect(set.holds('acme.test')).toBe(true)
    expect(set.holds('a.b.acme.test')).toBe(true)
    expect(set.holds('evilacme.test')).toBe(false)
    expect(set.holds('test')).toBe(false)
    expect(set.holdsBelow('acme.test')).toBe(false)
  })

  test('P-13: a name of many labels is cut to the deepest domain before it is looked up', () => {
    const deep = Array.from({ length: 127 }, () => 'a').join('.')
    const set = new DomainSet()
    set.add('a')
    expect(set.holds(deep)).toBe(true)
    set.add(`b.${deep.slice(2)}`)
    expect(set.holds(`b.${deep.slice(2)}`)).toBe(true)
  })
})

describe('a set of networks', () => {
  const octet = fc.constantFrom(0, 1, 9, 10, 127, 128, 192, 254, 255)
  const address = fc.array(octet, { minLength: 4, maxLength: 4 }).map((octets) => Uint8Array.from(octets))
  const maskOf = (prefix: number) =>
    Uint8Array.from({ length: 4 }, (_, i) => 0xff00 >> Math.max(0, Math.min(8, prefix - 8 * i)))
  const network = fc.tuple(address, fc.integer({ min: 0, max: 32 }))

  const isWithin = (given: Uint8Array, [base, prefix]: [Uint8Array, number]) => {
    const mask = maskOf(prefix)
    return given.every((each, i) => ((each ^ (base[i] as number)) & (mask[i] as number)) === 0)
  }

  test('holds the addresses of its networks, overlapping or not, and no other', () => {
    fc.assert(
      fc.property(fc.array(network, { maxLength: 8 }), fc.array(address, { maxLength: 8 }), (networks, addresses) => {
        const set = new NetworkSet()
        for (const [base, prefix] of networks) set.add(base, maskOf(prefix))
        for (const each of [...addresses, ...networks.map(([base]) => base)]) {
          expect(set.holds(each)).toBe(networks.some((one) => isWithin(each, one)))
        }
      }),
      { numRuns: 2_000 },
    )
  })

  test('an empty one holds nothing, 0.0.0.0/0 everything', () => {
    const set = new NetworkSet()
    expect(set.holds(Uint8Array.of(10, 0, 0, 1))).toBe(false)
    set.add(Uint8Array.of(0, 0, 0, 0), maskOf(0))
    expect(set.holds(Uint8Array.of(10, 0, 0, 1))).toBe(true)
    expect(set.holds(Uint8Array.of(255, 255, 255, 255))).toBe(true)
  })

  test('what is added after the first question counts', () => {
    const set = new NetworkSet()
    set.add(Uint8Array.of(10, 0, 0, 0), maskOf(8))
    expect(set.holds(Uint8Array.of(11, 0, 0, 1))).toBe(false)
    set.add(Uint8Array.of(11, 0, 0, 0), maskOf(8))
    expect(set.holds(Uint8Array.of(11, 0, 0, 1))).toBe(true)
    expect(set.holds(Uint8Array.of(12, 0, 0, 0))).toBe(false)
  })
})

/** Descriptions as text that is hashed: what it depends on, and what it does not. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  canonicalText,
  type Description,
  descriptionOf,
  digestOf,
  digestOfSet,
  frozenCopy,
  shownNumber,
  shownUrl,
} from '../src/description.js'
import { call, readCall } from '../src/rules/call.js'

/** The same with members and lists in reverse. */
const reversed = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(reversed).reverse()
    : typeof value === 'object' && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .reverse()
            .map(([name, member]) => [name, reversed(member)]),
        )
      : value

const sorted = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(sorted).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
    : typeof value === 'object' && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([name, member]) => [name, sorted(member)]),
        )
      : value

const data = fc.jsonValue({ maxDepth: 4 })

describe('the canonical text', () => {
  test('is the same whatever the order of members and lists', () => {
    fc.assert(fc.property(data, (value) => expect(canonicalText(reversed(value))).toBe(canonicalText(value))))
  })

  test('differs where anything but the order differs', () => {
    fc.assert(
      fc.property(data, data, (a, b) => {
        // Numbers that JSON writes alike are alike.
        const same = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
        expect(canonicalText(a) === canonicalText(b)).toBe(same)
      }),
    )
  })

  test.each([
    ['an undefined member is none', { kind: 'a', b: undefined }, { kind: 'a' }, true],
    ['null is something', { kind: 'a', b: null }, { kind: 'a' }, false],
    ['where it lies is for people', { kind: 'a', where: { file: './a' } }, { kind: 'a', where: { file: './b' } }, true],
    ['why is for people', { kind: 'a', because: 'x' }, { kind: 'a' }, true],
    ['a list called inOrder has one', { inOrder: ['a', 'b'] }, { inOrder: ['b', 'a'] }, false],
    ['any other list has none', { of: ['a', 'b'] }, { of: ['b', 'a'] }, true],
    ['twice is not once', { of: ['a', 'a'] }, { of: ['a'] }, false],
    ['a list within a list stays one', [['a'], ['b']], [['a', 'b']], false],
    ['a text is no number', ['1'], [1], false],
    ['a text cannot end a member', { a: 'x","b":"y' }, { a: 'x', b: 'y' }, false],
  ])('%s', (_, a, b, isSame) => {
    expect(digestOf(a) === digestOf(b)).toBe(isSame)
  })
})

describe('what something says of itself', () => {
  test('is copied, frozen to the bottom', () => {
    const own = { kind: 'mine', of: [{ kind: 'inner' }] }
    const told = descriptionOf({ describe: () => own }, 'x') as Description & { of: { kind: string }[] }
    own.kind = 'other'
    expect(told).toEqual({ kind: 'mine', of: [{ kind: 'inner' }] })
    expect([told, told.of, told.of[0]].every(Object.isFrozen)).toBe(true)
  })

  const loop: { kind: string; self?: unknown } = { kind: 'loop' }
  loop.self = loop
  test.each([
    ['nothing', {}],
    ['a text', { describe: () => 'our database' }],
    ['null', { describe: () => null }],
    ['an object without kind', { describe: () => ({ table: 'revoked' }) }],
    ['what JSON cannot write', { describe: () => loop }],
    ['a number JSON has no word for', { describe: () => ({ kind: 'a', big: 1n }) }],
    ['a promise', { describe: async () => ({ kind: 'a' }) }],
    [
      'an exception',
      {
        describe() {
          throw new Error('no')
        },
      },
    ],
  ])('%s is custom, with its name', (_, described) => {
    expect(descriptionOf(described as never, 'mine')).toEqual({ kind: 'custom', name: 'mine' })
  })

  test('it is asked as itself', () => {
    class Own {
      #table = 'revoked'
      describe() {
        return { kind: 'own', table: this.#table }
      }
    }
    expect(descriptionOf(new Own(), 'x')).toEqual({ kind: 'own', table: 'revoked' })
  })
})

test('a URL is shown without what follows the question mark, and without user information', () => {
  expect(shownUrl('https://crl.test/a.crl?sig=secret#x')).toBe('https://crl.test/a.crl?…')
  expect(shownUrl('https://crl.test/a.crl')).toBe('https://crl.test/a.crl')
  expect(shownUrl('https://crl.test/a@b.crl')).toBe('https://crl.test/a@b.crl')
  expect(shownUrl('HTTPS://ca:pass@word@crl.test/a.crl?b')).toBe('HTTPS://…@crl.test/a.crl?…')
  expect(shownUrl('//ca:password@crl.test')).toBe('//…@crl.test')
})

test('Infinity has a word', () => {
  expect(frozenCopy([1, Number.POSITIVE_INFINITY].map(shownNumber))).toEqual([1, 'Infinity'])
})

describe('the description of a rule', () => {
  test('reads back as its name and operands, whatever they hold', () => {
    const name = fc.stringMatching(/^[a-zA-Z]\w{0,11}$/)
    fc.assert(
      fc.property(name, fc.array(fc.string({ unit: 'binary' })), (kind, operands) =>
        expect(readCall(call(kind, ...operands))).toEqual({ kind, operands }),
      ),
    )
  })

  test.each(['', 'a', 'a(', 'a(b)', '("x")', 'a("x") b'])('%j is none, and is not taken for one', (text) => {
    expect(() => readCall(text)).toThrow(SyntaxError)
  })
})

describe('the digest of a set of digests', () => {
  const some = [0, 1, 2, 3].map((i) => digestOf(i))
  const [first = ''] = some

  test('is the same in any order', () => {
    expect(digestOfSet([...some].reverse())).toBe(digestOfSet(some))
    expect(digestOfSet(new Set(some))).toBe(digestOfSet(some))
  })

  test.each([
    ['one that is missing', some.slice(1)],
    ['one that is another', [...some.slice(1), digestOf('x')]],
    ['one that is there twice', [...some, first]],
    ['none at all', []],
  ])('differs by %s', (_, others) => {
    expect(digestOfSet(others)).not.toBe(digestOfSet(some))
  })
})

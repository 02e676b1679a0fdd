import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { limits } from '../../src/limits.js'
import { DecodingError } from '../../src/source/decoding.js'
import { rfc9440 } from '../../src/source/rfc9440.js'
import { bestTime, byteSequence } from './request.js'

const octets = Uint8Array.from([0x30, 0x82, 0xff, 0xfe, 0x00])
const own = byteSequence(octets)
const hex = (list: readonly Uint8Array[] | undefined) => list?.map((der) => Buffer.from(der).toString('hex'))

describe('Client-Cert', () => {
  const accepted: [name: string, value: string, octets: string][] = [
    ['the octets of RFC 9440 §2.2', own, '3082fffe00'],
    ['spaces around it', `  ${own}  `, '3082fffe00'],
    ['missing padding (RFC 9651 §4.2.7)', ':MIL//gA:', '3082fffe00'],
    ['padding', ':MIL//gA=:', '3082fffe00'],
    ['two padding characters', ':AA==:', '00'],
    ['a parameter, which means nothing', `${own};a`, '3082fffe00'],
    ['parameters of every type', `${own};a=1;b=-1.5;c="x \\" y";d=tok/en;e=?1;f=:AA==:; *g.h=?0`, '3082fffe00'],
  ]
  for (const [name, value, expected] of accepted) {
    test(`is read with ${name}`, () => {
      expect(hex(rfc9440.certificate(value))).toEqual([expected])
    })
  }

  test(':: is how a proxy without a condition writes that there is none', () => {
    expect(rfc9440.certificate('::')).toBeUndefined()
    expect(rfc9440.certificate(' :: ')).toBeUndefined()
  })

  const refused: [name: string, value: string][] = [
    ['no colons', own.slice(1, -1)],
    ['no opening colon', own.slice(1)],
    ['no closing colon', own.slice(0, -1)],
    ['a second one', `${own}, ${own}`],
    ['a second one without a comma', own + own],
    ['an empty one after it', `${own}, ::`],
    ['an empty one before it', `::, ${own}`],
    ['an empty one with a parameter', '::;a'],
    ['an empty one with nothing but padding', ':=:'],
    ['base64url', ':MIL__gA=:'],
    ['base64url without padding', ':MIL__gA:'],
    ['junk inside', ':MIL/ /gA=:'],
    ['a tab inside', ':MIL/\t/gA=:'],
    ['a percent escape inside', ':MIL%2F/gA=:'],
    ['a line break inside', ':MIL/\n/gA=:'],
    ['a NUL inside', ':MIL/\0/gA=:'],
    ['a NUL behind', `${own}\0`],
    ['padding in the middle', ':MIL=/gA=:'],
    ['too much padding', ':MIL//gA==:'],
    ['too little of two', ':AA=:'],
    ['pad bits that are not zero', ':MIL//gB=:'],
    ['one left-over character', ':MIL//:MIL//g:'],
    ['a single character', ':A:'],
    ['trailing garbage', `${own}x`],
    ['trailing garbage after a space', `${own} x`],
    ['a comma behind', `${own},`],
    ['a semicolon behind', `${own};`],
    ['a parameter without a name', `${own};=1`],
    ['a parameter with an upper-case name', `${own};A=1`],
    ['a parameter with a broken string', `${own};a="x`],
    ['a parameter with a broken boolean', `${own};a=?2`],
    ['a parameter with a broken byte sequence', `${own};a=:x`],
    ['quotes', `"${own}"`],
    ['a token', 'none'],
    ['a number', '1'],
    ['nothing but a colon', ':'],
    ['three colons', ':::'],
    ['PEM', '-----BEGIN CERTIFICATE-----'],
    ['bare base64', 'MIL//gA='],
    ['Apache’s placeholder', '(null)'],
    ['Caddy’s placeholder', '{http.request.tls.client.certificate_der_base64}'],
    ['a colon that is not one', '：MIL//gA=：'],
    ['a non-breaking space before it', `\u00a0${own}`],
  ]
  for (const [name, value] of refused) {
    test(`is refused with ${name}`, () => {
      expect(() => rfc9440.certificate(value)).toThrow(DecodingError)
    })
  }
})

describe('Client-Cert-Chain', () => {
  const a = byteSequence(Uint8Array.of(1))
  const b = byteSequence(Uint8Array.of(2))
  const c = byteSequence(Uint8Array.of(3))

  const accepted: [name: string, lines: string[], expected: string[]][] = [
    ['no line', [], []],
    ['an empty line', [''], []],
    ['one', [a], ['01']],
    ['several on one line', [`${a}, ${b},${c}`], ['01', '02', '03']],
    ['several lines, in their order', [`${a},${b}`, c], ['01', '02', '03']],
    ['tabs and spaces around commas', [`${a}\t, \t${b}`], ['01', '02']],
    ['parameters', [`${a};x=1, ${b};y`], ['01', '02']],
  ]
  for (const [name, lines, expected] of accepted) {
    test(`is read with ${name}`, () => {
      expect(hex(rfc9440.chain?.(lines))).toEqual(expected)
    })
  }

  const refused: [name: string, lines: string[]][] = [
    ['a comma behind', [`${a},`]],
    ['a comma before', [`,${a}`]],
    ['two commas', [`${a},,${b}`]],
    ['no comma', [`${a} ${b}`]],
    ['a semicolon for a comma', [`${a};${b}`]],
    ['an inner list', [`(${a} ${b})`]],
    ['one that is broken, among good ones', [a, ':x:', b]],
    ['one that is empty, among good ones', [a, '::', b]],
    ['the empty one of a proxy without a condition', ['::']],
    ['a byte sequence that is cut by the end of its line', [a.slice(0, 3), a.slice(3)]],
  ]
  for (const [name, lines] of refused) {
    test(`is refused with ${name}`, () => {
      expect(() => rfc9440.chain?.(lines)).toThrow(DecodingError)
    })
  }
})

test('whatever octets go in, the same come out, alone and in a chain', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { minLength: 1, maxLength: 5 }), (list) => {
      const values = list.map(byteSequence)
      expect(hex(rfc9440.certificate(values[0] as string))).toEqual([
        Buffer.from(list[0] as Uint8Array).toString('hex'),
      ])
      expect(hex(rfc9440.chain?.([values.join(', ')]))).toEqual(list.map((der) => Buffer.from(der).toString('hex')))
    }),
  )
})

test('a text that is read has one reading: what it holds, written again, is the text without spaces, padding and parameters', () => {
  const character = fc.constantFrom(...':=;, \tAQgZz09+/-_"%\0'.split(''))
  fc.assert(
    fc.property(fc.string({ unit: character, maxLength: 24 }), (text) => {
      let read: readonly Uint8Array[] | undefined
      try {
        read = rfc9440.certificate(text)
      } catch (error) {
        expect(error).toBeInstanceOf(DecodingError)
        return
      }
      if (read === undefined) return expect(text.trim()).toBe('::')
      const written = byteSequence(read[0] as Uint8Array).replaceAll('=', '')
      expect(text.trim().replace(/;.*$/, '').replaceAll('=', '')).toBe(written)
    }),
    { numRuns: 3_000 },
  )
})

test('H-14: hostile texts of 64 KiB take linear time', () => {
  const size = 65_536
  const texts = [
    ':'.repeat(size),
    `:${'A'.repeat(size)}`,
    own + ';a'.repeat(size / 2),
    own + ';a="'.repeat(size / 4),
    own + ';a=:A'.repeat(size / 5),
    `${own};${' '.repeat(size)}`,
    `${own};a="${'\\'.repeat(size)}`,
    ' '.repeat(size),
    `${own}${' '.repeat(size)}x`,
    `${own},`.repeat(size / 10),
    '='.repeat(size),
  ]
  for (const text of texts) {
    const time = bestTime(() => {
      for (const read of [() => rfc9440.certificate(text), () => rfc9440.chain?.([text])]) {
        try {
          read()
        } catch (error) {
          if (!(error instanceof DecodingError)) throw error
        }
      }
    })
    expect([text.slice(0, 20), time < 150]).toEqual([text.slice(0, 20), true])
  }
})

test('256 parameters are passed over, one more is refused', () => {
  const value = (count: number) => `${own}${';a=1'.repeat(count)}`
  expect(hex(rfc9440.certificate(value(limits.headerParameters)))).toEqual(['3082fffe00'])
  expect(() => rfc9440.certificate(value(limits.headerParameters + 1))).toThrow('has more than 256 parameters')
})

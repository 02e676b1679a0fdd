import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { DerError, DerReader } from '../../src/der/reader.js'
import { decodeTime, isPlainUtcTime } from '../../src/der/time.js'
import { generalizedTime, tlv, utcTime } from '../support/der-builder.js'

const read = (der: Uint8Array) => {
  const reader = new DerReader(der)
  const time = reader.time()
  reader.finish()
  return time
}

function reasonAgainst(der: Uint8Array): string | undefined {
  try {
    read(der)
    return undefined
  } catch (error) {
    if (error instanceof DerError) return error.message
    throw error
  }
}

const form = 'time is not in the form seconds and Z'
const zulu = 'time does not end in Z'
const calendar = 'time is not a date of the calendar'
const digits = 'time holds something other than digits'

describe('times (RFC 5280 §4.1.2.5)', () => {
  test.each([
    { name: 'UTCTime 50 is 1950', given: utcTime('500101000000Z'), value: '1950-01-01T00:00:00Z' },
    { name: 'UTCTime 99 is 1999', given: utcTime('991231235959Z'), value: '1999-12-31T23:59:59Z' },
    { name: 'UTCTime 00 is 2000', given: utcTime('000101000000Z'), value: '2000-01-01T00:00:00Z' },
    { name: 'UTCTime 49 is 2049', given: utcTime('491231235959Z'), value: '2049-12-31T23:59:59Z' },
    { name: 'UTCTime of the epoch', given: utcTime('700101000000Z'), value: '1970-01-01T00:00:00Z' },
    { name: 'UTCTime past 2^31 seconds', given: utcTime('380119031408Z'), value: '2038-01-19T03:14:08Z' },
    { name: 'GeneralizedTime of 2050', given: generalizedTime('20500101000000Z'), value: '2050-01-01T00:00:00Z' },
    {
      name: 'GeneralizedTime before 2050 (PKITS 4.2.4)',
      given: generalizedTime('20020101120100Z'),
      value: '2002-01-01T12:01:00Z',
    },
    { name: 'year 0000', given: generalizedTime('00000101000000Z'), value: '0000-01-01T00:00:00Z' },
    { name: 'year 0099, not 1999', given: generalizedTime('00991231235959Z'), value: '0099-12-31T23:59:59Z' },
    { name: 'no well-defined end', given: generalizedTime('99991231235959Z'), value: '9999-12-31T23:59:59Z' },
  ])('$name', ({ given, value }) => {
    expect(new Date(read(given)).toISOString()).toBe(value.replace('Z', '.000Z'))
  })

  test.each([
    { name: 'UTCTime: second 59, not 60', given: utcTime('161231235959Z'), twin: utcTime('161231235960Z') },
    {
      name: 'GeneralizedTime: second 59, not 60',
      given: generalizedTime('20161231235959Z'),
      twin: generalizedTime('20161231235960Z'),
    },
    { name: 'second 59, not 61', given: utcTime('250101000059Z'), twin: utcTime('250101000061Z') },
    { name: 'minute 59, not 60', given: utcTime('250101005900Z'), twin: utcTime('250101006000Z') },
    { name: 'hour 23, not 24', given: utcTime('250101230000Z'), twin: utcTime('250101240000Z') },
    { name: 'day 1, not 0', given: utcTime('250101000000Z'), twin: utcTime('250100000000Z') },
    { name: 'January has 31 days, not 32', given: utcTime('250131000000Z'), twin: utcTime('250132000000Z') },
    { name: 'April has 30 days, not 31', given: utcTime('250430000000Z'), twin: utcTime('250431000000Z') },
    { name: 'month 12, not 13', given: utcTime('251201000000Z'), twin: utcTime('251301000000Z') },
    { name: 'month 1, not 0', given: utcTime('250101000000Z'), twin: utcTime('250001000000Z') },
    { name: '29 February in 2024, not in 2025', given: utcTime('240229000000Z'), twin: utcTime('250229000000Z') },
    { name: '29 February in 2000', given: utcTime('000229000000Z'), twin: utcTime('000230000000Z') },
    {
      name: '29 February in 2400, not in 2100',
      given: generalizedTime('24000229000000Z'),
      twin: generalizedTime('21000229000000Z'),
    },
    {
      name: '29 February in year 0000',
      given: generalizedTime('00000229000000Z'),
      twin: generalizedTime('01000229000000Z'),
    },
  ])('$name', ({ given, twin }) => {
    expect(reasonAgainst(given)).toBeUndefined()
    expect(reasonAgainst(twin)).toBe(calendar)
  })

  test.each([
    { name: 'UTCTime without seconds', given: utcTime('2501010000Z'), reason: form },
    { name: 'UTCTime without Z', given: utcTime('250101000000'), reason: form },
    { name: 'UTCTime with z', given: utcTime('250101000000z'), reason: zulu },
    { name: 'UTCTime with an offset', given: utcTime('250101000000+0000'), reason: form },
    { name: 'UTCTime with a digit in place of Z', given: utcTime('2501010000000'), reason: zulu },
    { name: 'UTCTime with four digits of year', given: utcTime('20250101000000Z'), reason: form },
    { name: 'UTCTime, empty', given: utcTime(''), reason: form },
    { name: 'UTCTime of 10,000 digits', given: utcTime(`${'0'.repeat(10_000)}Z`), reason: form },
    { name: 'UTCTime with a space among digits', given: utcTime('25 101000000Z'), reason: digits },
    { name: 'UTCTime with a sign', given: utcTime('25-101000000Z'), reason: digits },
    { name: 'UTCTime with NUL at its end', given: utcTime('250101000000Z\0'), reason: form },
    {
      name: 'UTCTime with a digit that is not ASCII',
      given: tlv(0x17, [...Buffer.from('25010100000'), 0xb2, 0x5a]),
      reason: digits,
    },
    { name: 'GeneralizedTime without seconds', given: generalizedTime('202501010000Z'), reason: form },
    { name: 'GeneralizedTime with a fraction', given: generalizedTime('20250101000000.5Z'), reason: form },
    {
      name: 'GeneralizedTime with a fraction in place of seconds',
      given: generalizedTime('202501010000.5Z'),
      reason: digits,
    },
    { name: 'GeneralizedTime with an offset', given: generalizedTime('20250101000000+0100'), reason: form },
    { name: 'GeneralizedTime with two digits of year', given: generalizedTime('250101000000Z'), reason: form },
    { name: 'GeneralizedTime with local time', given: generalizedTime('20250101000000'), reason: form },
    { name: 'NULL', given: tlv(5), reason: 'expected a time' },
    {
      name: 'a time in another string type',
      given: tlv(0x13, Buffer.from('250101000000Z')),
      reason: 'expected a time',
    },
    { name: 'constructed UTCTime', given: tlv(0x37, utcTime('250101000000Z')), reason: 'expected a time' },
  ])('$name is refused', ({ given, reason }) => {
    expect(reasonAgainst(given)).toBe(reason)
  })

  test('agrees with Date on every second of 10,000 years', () => {
    const seconds = fc.integer({
      min: Date.UTC(2000, 0, 1) / 1000 - 2000 * 31_556_952,
      max: Date.UTC(9999, 11, 31) / 1000,
    })
    fc.assert(
      fc.property(seconds, (second) => {
        const date = new Date(second * 1000)
        fc.pre(date.getUTCFullYear() >= 0)
        expect(read(generalizedTime(`${date.toISOString().replace(/[-T:]|\.000Z/g, '')}Z`))).toBe(date.getTime())
      }),
      { numRuns: 2000 },
    )
  })

  test('agrees with Date on whether a day exists, for every day and month of 800 years', () => {
    for (let year = 1900; year < 2700; year++) {
      for (let month = 1; month <= 12; month++) {
        for (const day of [28, 29, 30, 31]) {
          const two = (n: number) => String(n).padStart(2, '0')
          const exists = new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day
          const given = generalizedTime(`${year}${two(month)}${two(day)}120000Z`)
          if ((reasonAgainst(given) === undefined) !== exists) throw new Error(`${year}-${month}-${day}`)
        }
      }
    }
  })
})

describe('a plain UTCTime is known by its words', () => {
  const isPlain = (text: string) => isPlainUtcTime(new DataView(Uint8Array.from(Buffer.from(text, 'latin1')).buffer), 0)
  const isTime = (text: string) => {
    try {
      decodeTime(Buffer.from(text, 'latin1'), 0, text.length, false)
      return true
    } catch {
      return false
    }
  }

  test.each([
    ['260101000000Z', true],
    ['991228235959Z', true],
    ['260129000000Z', false], // a date, but the calendar has to say so
    ['260001000000Z', false],
    ['261301000000Z', false],
    ['260100000000Z', false],
    ['260101240000Z', false],
    ['260101006000Z', false],
    ['260101000060Z', false],
    ['260101000000z', false],
    ['26010100000/Z', false],
    ['26010100000:Z', false],
    [':60101000000Z', false],
    ['\xb260101000000', false],
  ])('%s: %s', (text, plain) => {
    expect(isPlain(text.padEnd(13))).toBe(plain)
  })

  test('every octet at every place: what is plain is a time', () => {
    const sample = Buffer.from('260101000000Z')
    let plain = 0
    for (let at = 0; at < sample.length; at++) {
      for (let value = 0; value < 256; value++) {
        const octets = Buffer.from(sample)
        octets[at] = value
        const text = octets.toString('latin1')
        if (isPlain(text)) {
          plain++
          expect([text, isTime(text)]).toEqual([text, true])
        }
      }
    }
    expect(plain).toBeGreaterThan(50)
  })

  test('every month and day, every hour, minute and second: up to the 28th nothing is missed', () => {
    const two = (number: number) => String(number).padStart(2, '0')
    const texts = [
      ...Array.from({ length: 100 * 100 }, (_, n) => `26${two(Math.floor(n / 100))}${two(n % 100)}000000Z`),
      ...Array.from(
        { length: 300 },
        (_, n) => `260101${['00', '00', '00'].with(Math.floor(n / 100), two(n % 100)).join('')}Z`,
      ),
    ]
    for (const text of texts) {
      const expected = isTime(text) && Number(text.slice(4, 6)) <= 28
      if (isPlain(text) !== expected) throw new Error(`${text}: ${isPlain(text)}`)
    }
  })
})

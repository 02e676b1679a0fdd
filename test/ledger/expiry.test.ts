/** When a certificate comes under a threshold, and what operators may write. */
import { describe, expect, test } from '@jest/globals'
import { createAuthenticator, type ExpiryOptions } from '../../src/index.js'
import { daysLeft, expiryWarning } from '../../src/ledger/expiry.js'
import { createTestPki } from '../../src/testing.js'
import { day, fromNoon, hour, noon, thrownBy } from '../support/pki.js'

const never = Number.POSITIVE_INFINITY
const at = (days: number) => fromNoon(days * day).getTime()
/** Ends a hundred days from noon, at the end of its last second. */
const year = { notBefore: at(-265), notAfter: at(100) - 1000 }
const usual = [30, 7, 1]

describe('a certificate of a year', () => {
  test.each([
    ['long before', 0, never, undefined, at(70)],
    ['a millisecond before the first threshold', 70 - 1e-8, never, undefined, at(70)],
    ['at it', 70, never, 30, at(93)],
    ['after it was told of', 80, 30, undefined, at(93)],
    ['under the second', 94, 30, 7, at(99)],
    ['under two at once: the shorter says it all', 94, never, 7, at(99)],
    ['under the last', 99.5, 7, 1, never],
    ['after all of them', 99.9, 1, undefined, never],
    ['after its end', 120, never, 1, never],
  ])('%s', (_, days, told, warned, due) => {
    expect(expiryWarning(usual, year, told, at(days))).toEqual({ days: warned, due })
  })
})

test('thresholds longer than half of its lifetime do not apply to a short-lived one', () => {
  const week = { notBefore: at(0), notAfter: at(7) - 1000 }
  expect(expiryWarning(usual, week, never, at(0))).toEqual({ days: undefined, due: at(6) })
  const fortnight = { notBefore: at(0), notAfter: at(14) - 1000 }
  expect(expiryWarning(usual, fortnight, never, at(0))).toEqual({ days: undefined, due: at(7) })
  const hours = { notBefore: at(0), notAfter: at(0) + 2 * hour }
  expect(expiryWarning(usual, hours, never, at(0))).toEqual({ days: undefined, due: never })
})

test('days left are whole ones, and never negative', () => {
  expect([0, 98.5, 99, 99 + 2e-8, 100, 200].map((days) => daysLeft(year, at(days)))).toEqual([100, 1, 1, 0, 0, 0])
})

test.each<[ExpiryOptions, string]>([
  [{ warnDay: [1] } as never, 'expiry: unknown option "warnDay". Did you mean "warnDays"?'],
  [{ warnDays: undefined } as never, 'expiry: warnDays is undefined — leave the option out, or give it a value'],
  [[30] as never, 'expiry: expected options — expiry: { warnDays: [30, 7, 1] }'],
  ...[30, [0], [-1], ['7'], [Number.NaN], [4_000], Array(17).fill(1)].map((warnDays): [ExpiryOptions, string] => [
    { warnDays } as never,
    'expiry: warnDays is a list of at most 16 numbers of days above 0, 3660 at most — expiry: { warnDays: [30, 7, 1] }',
  ]),
])('%j is refused', async (expiry, message) => {
  const { trust } = await createTestPki({ now: noon })
  expect(thrownBy(() => createAuthenticator({ trust, revocation: 'none', expiry }))).toBe(
    `ClientCertConfigError: ${message}`,
  )
})

test('an empty list, and any order, are fine', async () => {
  const { trust } = await createTestPki()
  for (const warnDays of [[], [1, 30, 7, 7, 0.5]]) {
    expect(createAuthenticator({ trust, revocation: 'none', expiry: { warnDays } })).toBeDefined()
  }
})

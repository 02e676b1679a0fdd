import { expect, test } from '@jest/globals'
import { freshUntil } from '../../src/revocation/http-freshness.js'

const at = Date.UTC(2026, 10, 20, 12)
const seconds = (headers: Record<string, string>) => {
  const until = freshUntil(headers, at)
  return until === undefined ? undefined : (until - at) / 1_000
}
const now = 'Fri, 20 Nov 2026 12:00:00 GMT'
const inAMinute = 'Fri, 20 Nov 2026 12:01:00 GMT'

const cases: [headers: Record<string, string>, seconds: number | undefined][] = [
  [{}, undefined],
  [{ 'cache-control': 'public' }, undefined],
  [{ 'cache-control': 'max-age=60' }, 60],
  [{ 'cache-control': 'public, Max-Age=60, must-revalidate' }, 60],
  [{ 'cache-control': 'max-age="60"' }, 60],
  [{ 'cache-control': 'max-age=60, max-age=30' }, 30],
  [{ 'cache-control': 's-maxage=60' }, undefined],
  [{ 'cache-control': 'x-max-age=60' }, undefined],
  [{ 'cache-control': 'max-age=0' }, 0],
  [{ 'cache-control': 'max-age=-1' }, 0],
  [{ 'cache-control': 'max-age=many' }, 0],
  [{ 'cache-control': 'max-age' }, 0],
  [{ 'cache-control': 'max-age=99999999999999999999' }, 2 ** 31],
  [{ 'cache-control': 'no-store, max-age=60' }, 0],
  [{ 'cache-control': 'no-cache' }, 0],
  [{ 'cache-control': 'no-cache="x"' }, 0],
  [{ 'cache-control': 'max-age=60', age: '20' }, 40],
  [{ 'cache-control': 'max-age=60', age: '90' }, 0],
  [{ 'cache-control': 'max-age=60', age: 'old' }, 60],
  [{ 'cache-control': 'max-age=60', expires: '0' }, 60],
  [{ expires: inAMinute }, 60],
  [{ expires: inAMinute, date: now }, 60],
  [{ expires: inAMinute, date: 'Fri, 20 Nov 2026 12:00:30 GMT' }, 30],
  [{ expires: inAMinute, date: now, age: '20' }, 40],
  [{ expires: inAMinute, date: 'yesterday' }, 60],
  [{ expires: 'Friday, 20-Nov-26 12:01:00 GMT' }, 60],
  [{ expires: 'Fri Nov 20 12:01:00 2026' }, 60],
  [{ expires: now, date: inAMinute }, 0],
  [{ expires: '0' }, 0],
  [{ expires: '-1' }, 0],
  [{ expires: '' }, 0],
  [{ expires: 'soon' }, 0],
]
test.each(cases)('%j is fresh for %s seconds', (headers, expected) => {
  expect(seconds(headers)).toBe(expected)
})

import { writeFileSync } from 'node:fs'
import { afterEach, beforeAll, beforeEach, expect, jest, test } from '@jest/globals'
import { crl } from '../../src/revocation/crl-checker.js'
import type { CrlOptions } from '../../src/revocation/crl-options.js'
import { createTestPki, type TestPki } from '../../src/testing.js'
import { day, hour, temporaryFolder } from '../support/pki.js'
import { closing, heardEvents, heardWarnings } from '../support/revocation.js'

const at = temporaryFolder()
const warnings = heardWarnings()
const events = heardEvents()
let pki: TestPki
let files = 0

const start = Date.parse('2026-11-20T12:00:00.000Z')
const from = (milliseconds: number) => new Date(start + milliseconds)
beforeAll(async () => {
  pki = await createTestPki({ now: new Date(start) })
})
// Clock and timers go together: the tests let days pass at once.
beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'], now: start })
})
afterEach(() => {
  jest.useRealTimers()
})

const crlOf = async (end: number, age = hour) => (await pki.crl({ thisUpdate: from(-age), nextUpdate: from(end) })).pem

function watching(content: string, options: Partial<CrlOptions> = {}) {
  const path = at(`${files++}.crl`)
  writeFileSync(path, content)
  return { path, checker: closing(crl({ files: path, watch: false, ...options })) }
}
const ended = () => events.flatMap((event) => (event.type === 'crl-ended' ? [event.nextUpdate?.getTime()] : []))

test('a CRL that ends is said to have ended, once, whether anybody asks or not', async () => {
  const { path } = watching(await crlOf(3 * day))
  jest.advanceTimersByTime(3 * day)
  expect(ended()).toEqual([])
  jest.advanceTimersByTime(1)
  expect(ended()).toEqual([start + 3 * day])
  expect(warnings).toEqual([
    `MTLS_CRL_ENDED: crl: CRL of "CN=Test Intermediate CA" (${path}) has ended, its nextUpdate is 2026-11-23T12:00:00Z — fix the job that renews it: its clients get 503`,
  ])
  jest.advanceTimersByTime(30 * day)
  expect(ended().length).toBe(1)
})

test('one that was renewed in time is not', async () => {
  const { path } = watching(await crlOf(hour), { watch: true })
  writeFileSync(path, await crlOf(2 * hour, 0))
  jest.advanceTimersByTime(2 * hour)
  expect(ended()).toEqual([])
  jest.advanceTimersByTime(1)
  expect(ended()).toEqual([start + 2 * hour])
})

test('each of several, at its own time', async () => {
  const root = await pki.root.crl({ thisUpdate: from(-hour), nextUpdate: from(2 * hour) })
  watching((await crlOf(hour)) + root.pem)
  jest.advanceTimersByTime(hour + 1)
  expect(ended()).toEqual([start + hour])
  jest.advanceTimersByTime(hour)
  expect(ended()).toEqual([start + hour, start + 2 * hour])
})

test('maxAge ends it, too', async () => {
  const { path } = watching(await crlOf(5 * day), { maxAge: 7_200 })
  jest.advanceTimersByTime(hour)
  expect(ended()).toEqual([])
  jest.advanceTimersByTime(1)
  expect(ended()).toEqual([start + 5 * day])
  expect(warnings[0]).toContain(`(${path}) has ended, its maxAge was over 2026-11-20T13:00:00Z — fix the job`)
})

test('an end beyond what a timer can count to is waited for all the same', async () => {
  watching(await crlOf(60 * day))
  jest.advanceTimersByTime(60 * day)
  expect(ended()).toEqual([])
  jest.advanceTimersByTime(day)
  expect(ended().length).toBe(1)
})

test('nothing is said after close(), and no timer is left', async () => {
  const { checker } = watching(await crlOf(hour))
  checker.close()
  expect(jest.getTimerCount()).toBe(0)
  jest.advanceTimersByTime(day)
  expect(ended()).toEqual([])
})

test('a clock that fails says nothing, and starts no timer that runs wild', async () => {
  watching(await crlOf(hour), { now: () => Number.NaN })
  expect(jest.getTimerCount()).toBe(0)
  expect(ended()).toEqual([])
})

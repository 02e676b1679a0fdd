/** Random histories of one certificate against a small model: what was ever admitted had a reason. */
import { describe, expect, test } from '@jest/globals'
import { FetchError } from '../../src/revocation/document-fetcher.js'
import { good, revoked, unknown } from '../support/ocsp-forge.js'
import { responderUrl, scene } from '../support/ocsp-scene.js'
import { dice } from '../support/path-forge.js'

const [second, minute] = [1000, 60_000]
const skew = 5 * minute
const wholeSeconds = (at: number) => Math.floor(at / second) * second
const statuses = [good, good, good, unknown, revoked(undefined, 6), revoked(undefined, 1)]
const names = ['good', 'good', 'good', 'unknown', 'hold', 'final']

interface Seen {
  readonly name: string
  readonly thisUpdate: number
  readonly nextUpdate: number
}

async function history(seed: number): Promise<{ admitted: number; asked: number }> {
  const { below, chance, pick } = dice(seed)
  const it = scene()
  /** What was delivered, and was recent then. A revocation for good is one at any age. */
  const seen: Seen[] = []
  let admitted = 0

  for (let step = 0; step < 60; step++) {
    it.time += pick([0, second, 7 * second, minute, 20 * minute])
    // What the responder, or whoever stands before it, sends next: now and then something from the past.
    const kind = below(statuses.length)
    const thisUpdate = wholeSeconds(it.time - (chance(0.3) ? below(30) * minute : below(60) * second))
    const nextUpdate = thisUpdate + pick([second, 10 * minute, 60 * minute])
    const dates = { thisUpdate: new Date(thisUpdate), nextUpdate: new Date(nextUpdate) }
    const plan = { producedAt: dates.thisUpdate, singles: [{ ...dates, status: statuses[kind] as Uint8Array }] }
    const isDown = chance(0.25)
    const delivered: Seen[] = []
    it.reply = () => {
      if (isDown) return new FetchError('connect', responderUrl, 'down')
      const name = names[kind] as string
      if (name === 'final' || nextUpdate + skew >= it.time) delivered.push({ name, thisUpdate, nextUpdate })
      return chance(0.2) ? { bytes: it.says(plan), freshUntil: it.time + below(120) * second } : it.says(plan)
    }
    const before = it.checker.generation
    const status = await it.ask()
    await new Promise((resolve) => setImmediate(resolve))
    const at = [seed, step]

    // Whoever was admitted is looked at again when a revocation comes, also in the background.
    const isNews = delivered.some(({ name }) => name === 'final') && !seen.some(({ name }) => name === 'final')
    expect([...at, isNews && it.checker.generation === before && status.status !== 'revoked']).toEqual([...at, false])
    if (seen.some(({ name }) => name === 'final')) expect([...at, status.status]).toEqual([...at, 'revoked'])
    if (status.status === 'good') {
      admitted++
      const latest = (name: string) =>
        Math.max(...seen.map((one) => (one.name === name ? one.thisUpdate : Number.NEGATIVE_INFINITY)))
      const grounds = [...seen, ...delivered].filter(
        (one) =>
          one.name === 'good' &&
          one.nextUpdate + skew >= it.time &&
          one.thisUpdate > latest('hold') &&
          one.thisUpdate >= latest('unknown'),
      )
      expect([...at, grounds.length > 0]).toEqual([...at, true])
      expect(status.validUntil).toBeLessThanOrEqual(Math.max(...grounds.map((one) => one.nextUpdate)) + skew)
      expect(status.validUntil).toBeGreaterThanOrEqual(it.time)
    }
    seen.push(...delivered)
  }
  return { admitted, asked: it.requests.length }
}

describe('120 histories of 60 requests', () => {
  test('whoever was admitted had a good answer that was recent; a revocation for good ends that', async () => {
    let [admitted, asked] = [0, 0]
    for (let seed = 0; seed < 120; seed++) {
      const outcome = await history(seed)
      admitted += outcome.admitted
      asked += outcome.asked
    }
    expect(admitted).toBeGreaterThan(300)
    expect(asked).toBeGreaterThan(800)
  }, 60_000)
})

/** The judge of `npm run load`: whether an answer was right when it was given. */
import { beforeAll, expect, test } from '@jest/globals'

interface TimelineLike {
  from(moment: number, ...verdicts: string[]): void
  change(...verdicts: string[]): () => void
  allows(verdict: string, sent: number, received: number): boolean
}
let Timeline: new (...verdicts: string[]) => TimelineLike
beforeAll(async () => {
  const module: string = './timeline.mjs'
  ;({ Timeline } = await import(module))
})

const revoked = '403 ERR_CLIENT_CERT_REVOKED'
/** Accepted until a change begins at 10,000, which is known to be done at 12,000. */
function changing() {
  const timeline = new Timeline('accepted')
  timeline.from(10_000, 'accepted', revoked)
  timeline.from(12_000, revoked)
  return timeline
}

test('before a change only the old verdict is right, while it is under way either, and afterwards only the new one', () => {
  const timeline = changing()
  const right = (sent: number, received: number) => [
    timeline.allows('accepted', sent, received),
    timeline.allows(revoked, sent, received),
  ]
  expect(right(9_000, 9_100)).toEqual([true, false])
  expect(right(10_500, 10_600)).toEqual([true, true])
  expect(right(12_100, 12_200)).toEqual([false, true])
  // Sent before it began, answered while it was under way; sent while it was, answered after.
  expect(right(9_900, 10_100)).toEqual([true, true])
  expect(right(11_900, 12_500)).toEqual([true, true])
  // A whole change passed meanwhile.
  expect(right(9_900, 12_500)).toEqual([true, true])
})

test('nothing else is ever right: another refusal, or the name of another client', () => {
  const timeline = changing()
  for (const verdict of ['403 ERR_CLIENT_CERT_EXPIRED', 'accepted as mallory', 'no answer', 'not let in'])
    for (const moment of [9_000, 11_000, 13_000]) expect(timeline.allows(verdict, moment, moment + 10)).toBe(false)
})

test('a connection may be closed when its client is not accepted any more, and only if it once was', () => {
  const timeline = changing()
  expect(timeline.allows('closed', 9_000, 9_100)).toBe(false)
  expect(timeline.allows('closed', 12_500, 12_500)).toBe(true)
  for (const never of [new Timeline('accepted'), new Timeline(revoked)])
    expect(never.allows('closed', 12_500, 12_500)).toBe(false)
  // Accepted again for long: nothing is left to close.
  timeline.from(13_000, 'accepted')
  expect(timeline.allows('closed', 22_000, 22_000)).toBe(true)
  expect(timeline.allows('closed', 24_000, 24_000)).toBe(false)
})

test('a change that is not done leaves both right; what is returned ends it', () => {
  const timeline = new Timeline('accepted')
  const done = timeline.change(revoked)
  const later = Date.now() + 60_000
  expect([timeline.allows('accepted', later, later), timeline.allows(revoked, later, later)]).toEqual([true, true])
  done()
  expect([timeline.allows('accepted', later, later), timeline.allows(revoked, later, later)]).toEqual([false, true])
})

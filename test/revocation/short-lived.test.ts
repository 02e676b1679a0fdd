import { beforeAll, describe, expect, test } from '@jest/globals'
import { denyList } from '../../src/revocation/deny-list.js'
import { firstDefinite } from '../../src/revocation/first-definite.js'
import { type SkipShortLivedOptions, skipShortLived } from '../../src/revocation/short-lived.js'
import { createTestPki, type IssueOptions, type TestPki } from '../../src/testing.js'
import { checker } from '../support/checkers.js'
import { day, fromNoon, hour, noon, second, thrownBy } from '../support/pki.js'
import { deciding, heardWarnings, noRevAvail } from '../support/revocation.js'

heardWarnings()
let pki: TestPki
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
})
const tenDays = 10 * 86_400

/** A client that lives for so long, and has begun an hour ago. */
const living = (milliseconds: number, more: IssueOptions = {}) =>
  pki.issue({ notBefore: fromNoon(-hour), notAfter: fromNoon(-hour + milliseconds), ...more })

/** Which certificates of its path are asked about. */
async function asked(options: SkipShortLivedOptions, client: Awaited<ReturnType<typeof living>>) {
  const one = checker('good')
  const { verdict } = deciding({ trust: pki.trust, revocation: skipShortLived(one, options) })
  expect(await verdict(client)).toBe('accepted')
  return one.asked
}
const all = ['alice', 'Test Intermediate CA']
const issuers = ['Test Intermediate CA']

describe('skipShortLived', () => {
  test('lifetimeBelow: a second less than it is skipped, as much is not; issuers are asked about always', async () => {
    const options = { lifetimeBelow: 86_400 }
    expect(await asked(options, await living(day - second))).toEqual(issuers)
    expect(await asked(options, await living(day))).toEqual(all)
  })

  test('the longest lifetime that may be skipped is a second less than ten days', async () => {
    const options = { lifetimeBelow: tenDays }
    expect(await asked(options, await living(10 * day - second))).toEqual(issuers)
    expect(await asked(options, await living(10 * day))).toEqual(all)
  })

  test('an intermediate that lives for a moment is asked about all the same', async () => {
    const shortLived = await pki.root.issueAuthority({
      subject: 'CN=Short',
      notBefore: fromNoon(-hour),
      notAfter: fromNoon(hour),
    })
    const client = await shortLived.issue({ notBefore: fromNoon(-hour), notAfter: fromNoon(hour) })
    expect(await asked({ lifetimeBelow: 86_400 }, client)).toEqual(['Short'])
  })

  test('RFC 9608: noRevAvail counts where it is asked for, up to ten days', async () => {
    const extensions = [noRevAvail]
    expect(await asked({ noRevAvail: true }, await living(10 * day, { extensions }))).toEqual(issuers)
    expect(await asked({ noRevAvail: true }, await living(10 * day + second, { extensions }))).toEqual(all)
    expect(await asked({ noRevAvail: true }, await living(hour * 2))).toEqual(all)
    expect(await asked({ lifetimeBelow: 3_600 }, await living(9 * day, { extensions }))).toEqual(all)
    expect(await asked({ noRevAvail: false, lifetimeBelow: 3_600 }, await living(9 * day, { extensions }))).toEqual(all)
    expect(await asked({ noRevAvail: true, lifetimeBelow: 10_000 }, await living(2 * hour))).toEqual(issuers)
  })

  test('who is skipped is admitted until the certificate ends, and no longer', async () => {
    const { decide, verdict, clock } = deciding({
      trust: pki.trust,
      revocation: skipShortLived(
        checker(({ depth }: { depth: number }) => (depth === 0 ? 'revoked' : 'good')),
        {
          lifetimeBelow: 86_400,
        },
      ),
    })
    const client = await living(3 * hour)
    const decision = await decide(client)
    expect(decision.outcome === 'accepted' && decision.validUntil.getTime()).toBe(
      fromNoon(2 * hour + second).getTime() - 1,
    )
    expect(await verdict(await living(day))).toBe('REVOKED')
    clock.now += 2 * hour + second
    expect(await verdict(client)).toBe('EXPIRED')
  })

  test('a deny list beside it counts; within it, at any depth, it would be passed over, and is refused', async () => {
    const client = await living(hour * 2)
    const list = denyList({ entries: [client.fingerprint] })
    const options = { lifetimeBelow: 86_400 }
    const beside = firstDefinite(skipShortLived(checker('good'), options), list)
    expect(await deciding({ trust: pki.trust, revocation: beside }).verdict(client)).toBe('REVOKED')
    for (const within of [
      list,
      firstDefinite(list, checker('good')),
      firstDefinite(firstDefinite(list), checker('good')),
    ]) {
      expect(thrownBy(() => skipShortLived(within, options))).toContain(
        'skipShortLived: the deny list in it would be passed over — firstDefinite(denyList({ … }), skipShortLived(',
      )
    }
  })

  test('what its checker throws and does not know stays so', async () => {
    const client = await living(day)
    const verdict = (behaviour: unknown) =>
      deciding({ trust: pki.trust, revocation: skipShortLived(checker(behaviour), { lifetimeBelow: 60 }) }).verdict(
        client,
      )
    expect([await verdict('throws'), await verdict('unknown'), await verdict('revoked')]).toEqual([
      'INTERNAL',
      'REVOCATION_UNKNOWN',
      'REVOKED',
    ])
  })

  test.each<{ name: string; given: unknown; says: string }>([
    { name: 'no options', given: undefined, says: 'expected options — { lifetimeBelow: 86_400 }' },
    { name: 'nothing', given: {}, says: 'says nothing — { lifetimeBelow: 86_400 } or { noRevAvail: true }' },
    { name: 'noRevAvail: false', given: { noRevAvail: false }, says: 'says nothing' },
    { name: 'noRevAvail: 1', given: { noRevAvail: 1 }, says: 'noRevAvail is true or false' },
    {
      name: 'a misspelt option',
      given: { lifetime: 60 },
      says: 'unknown option "lifetime". Did you mean "lifetimeBelow"',
    },
    {
      name: 'an undefined one',
      given: { lifetimeBelow: undefined, noRevAvail: true },
      says: 'lifetimeBelow is undefined',
    },
    { name: 'zero', given: { lifetimeBelow: 0 }, says: 'up to 864000, got 0' },
    { name: 'a negative one', given: { lifetimeBelow: -1 }, says: 'got -1' },
    { name: 'a second more than ten days', given: { lifetimeBelow: tenDays + 1 }, says: 'got 864001' },
    { name: 'Infinity', given: { lifetimeBelow: Number.POSITIVE_INFINITY }, says: 'got Infinity' },
    { name: 'NaN', given: { lifetimeBelow: Number.NaN }, says: 'got NaN' },
    { name: 'text', given: { lifetimeBelow: '60' }, says: 'got 60' },
  ])('$name is refused', ({ given, says }) => {
    const message = thrownBy(() => skipShortLived(checker('good'), given as SkipShortLivedOptions))
    expect(message).toMatch(/^ClientCertConfigError: skipShortLived: /)
    expect(message).toContain(says)
  })
})

/** One watch looks after all that is open: whatever one of them does, the others are looked at. */
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import type { AuthenticatorInternals } from '../../src/core/contract.js'
import { createAuthenticator } from '../../src/index.js'
import { type Watched, watchOf } from '../../src/server/connection-watch.js'
import { createTestPki } from '../../src/testing.js'
import { noon } from '../support/pki.js'

const pki = await createTestPki({ now: noon })

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'], now: noon })
})
afterEach(() => {
  jest.useRealTimers()
})

const watched = (own: Partial<Omit<Watched, 'end'>>) => ({
  decidedAt: noon.getTime(),
  validUntil: noon.getTime() + 500,
  check: async () => undefined,
  end: jest.fn<Watched['end']>(),
  ...own,
})

const throwing = () => {
  throw new Error('broken')
}

test.each<[string, Partial<Watched>, code: string | undefined]>([
  ['a check that rejects ends its own connection', { check: async () => throwing() }, 'ERR_CLIENT_CERT_INTERNAL'],
  ['a check that throws ends its own connection', { check: throwing }, 'ERR_CLIENT_CERT_INTERNAL'],
  ['one that cannot say whether it has changed is looked at', { isChanged: throwing, validUntil: Infinity }, undefined],
])('%s, and the others are looked at', async (_, own, code) => {
  const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
  const watch = watchOf(auth as AuthenticatorInternals)
  const broken = watched(own)
  const check = jest.fn(async () => undefined)
  const other = watched({ check })
  for (const each of [broken, other]) watch.add(each, watch.stamp())
  for (let second = 1; second <= 3; second++) {
    await jest.advanceTimersByTimeAsync(1_000)
    expect(check).toHaveBeenCalledTimes(second)
  }
  expect(broken.end.mock.calls.map(([{ code: given }]) => given)).toEqual(code ? [code] : [])
  expect(other.end).not.toHaveBeenCalled()
  for (const each of [broken, other]) watch.remove(each)
  await auth.close()
})

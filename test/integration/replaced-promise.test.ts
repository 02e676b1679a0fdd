/** zone.js, Bluebird and others put a class of their own in the place of `Promise`; no async function returns it. What is to be waited for is waited for. */
import { afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { type AuthenticatorOptions, createAuthenticator, type Rule, rules } from '../../src/index.js'
import { quietly } from '../../src/quietly.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { get, json } from '../support/clients.js'
import { type Framework, frameworks, type Plan, type Seen, serveHttps } from '../support/servers.js'

let pki: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki()
  alice = await pki.issue({ subject: 'CN=alice' })
})

const own = Promise
afterEach(() => {
  globalThis.Promise = own
})

async function serve(
  { listener }: Framework,
  { guard, ...plan }: Plan & { guard?: Rule },
  options: Partial<AuthenticatorOptions> = {},
) {
  const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false, ...options })
  const guards = guard === undefined ? [] : [[guard] as [Rule]]
  const port = await serveHttps(auth, listener({ ...plan, mounts: [{ authenticator: auth }], guards }))
  globalThis.Promise = class Replaced<T> extends own<T> {}
  expect((async () => {})()).not.toBeInstanceOf(Promise)
  return (client?: TestCredential) => get(port, client)
}

const refusing = rules.custom('nobody', async () => false)
const admitting = rules.custom('everybody', async () => true)

describe.each(frameworks)('$name, where the global Promise is another', (framework) => {
  test('a client without a certificate is refused, and one with it is known', async () => {
    const handler = jest.fn(({ property }: Seen) => ({ cn: property?.subject.get('CN') }))
    const ask = await serve(framework, { handler })
    expect((await ask()).status).toBe(401)
    expect(handler).not.toHaveBeenCalled()
    const answer = await ask(alice)
    expect([answer.status, json(answer)]).toEqual([200, { cn: 'alice' }])
  })

  test('a guard waits for its rule', async () => {
    const handler = jest.fn(() => ({}))
    expect((await (await serve(framework, { handler, guard: refusing }))(alice)).status).toBe(403)
    expect(handler).not.toHaveBeenCalled()
    globalThis.Promise = own
    expect((await (await serve(framework, { handler, guard: admitting }))(alice)).status).toBe(200)
  })

  test("so do combinations of rules, and the authenticator's own", async () => {
    const both = rules.all(admitting, rules.not(refusing), rules.any(refusing, admitting))
    expect((await (await serve(framework, { guard: both }, { rules: both }))(alice)).status).toBe(200)
    globalThis.Promise = own
    const none = rules.all(rules.deny(admitting), admitting)
    expect((await (await serve(framework, {}, { rules: none }))(alice)).status).toBe(403)
  })
})

test('a promise of any class that a listener rejects with ends no process', () => {
  const then = jest.fn((_: unknown, failed: (error: Error) => void) => failed(new Error('of the listener')))
  quietly(() => ({ then }))
  expect(then).toHaveBeenCalledTimes(1)
  // biome-ignore lint/suspicious/noThenProperty: and what has something else by that name is none
  quietly(() => ({ then: 'no function' }))
})

/** From an identity to what the application calls it. */
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import {
  type AuthenticatorOptions,
  type ClientIdentity,
  createAuthenticator,
  type PrincipalSource,
  rules,
  TrustStore,
} from '../../src/index.js'
import { createTestPki, type IssueOptions, type TestCredential, type TestPki } from '../../src/testing.js'
import { minute, noon, present, thrownBy } from '../support/pki.js'

let pki: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue({ subject: 'CN=alice' })
})

describe('principalFrom takes exactly one name', () => {
  const dns = (...names: string[]): IssueOptions => ({ names: { dns: names } })
  test.each<[PrincipalSource, IssueOptions, string]>([
    ['spiffe', { names: { uri: ['spiffe://acme.test/a'] } }, 'spiffe://acme.test/a'],
    ['uri', { names: { uri: ['URN:a:B'] } }, 'urn:a:B'],
    ['dns', dns('A.Test'), 'a.test'],
    ['email', { names: { email: ['Al@Acme.TEST'] } }, 'Al@acme.test'],
    ['upn', { names: { upn: ['al@corp.test'] } }, 'al@corp.test'],
    ['commonName', { subject: 'CN=alice,O=Acme' }, 'alice'],
  ])('%s', async (principalFrom, given, principal) => {
    const { decision } = await present(await pki.issue(given), { trust: pki.trust, principalFrom })
    expect(decision.outcome === 'accepted' && decision.identity.principal).toBe(principal)
  })

  test.each<[PrincipalSource, string, IssueOptions, string]>([
    ['spiffe', 'none', { names: { uri: ['urn:a'] } }, 'it has no SPIFFE ID'],
    ['spiffe', 'two', { names: { uri: ['spiffe://acme.test/a', 'spiffe://acme.test/b'] } }, 'it has no SPIFFE ID'],
    ['uri', 'two', { names: { uri: ['urn:a', 'urn:b'] } }, 'it has 2 names of the form uri'],
    ['dns', 'two', dns('a.test', 'b.test'), 'it has 2 names of the form dns'],
    ['dns', 'two of one spelling', dns('a.test', 'A.test'), 'it has 2 names of the form dns'],
    ['dns', 'none', { subject: 'CN=a.test' }, 'it has no dns name'],
    ['email', 'none', { subject: 'emailAddress=a@acme.test' }, 'it has no email name'],
    ['upn', 'none', { names: { email: ['al@corp.test'] } }, 'it has no upn name'],
    ['commonName', 'two', { subject: 'CN=alice,CN=bob' }, 'it has 2 names of the form commonName'],
    ['commonName', 'none', { names: { dns: ['alice'] }, subject: 'O=Acme' }, 'it has no commonName name'],
  ])('I-01, I-04: %s: %s is refused', async (principalFrom, _, given, says) => {
    const { decision, line } = await present(await pki.issue(given), { trust: pki.trust, principalFrom })
    expect(decision.outcome === 'refused' && decision.error.code).toBe('ERR_CLIENT_CERT_PRINCIPAL')
    expect(line).toContain(`is nobody: ${says} — issue it with exactly one, or choose another principalFrom`)
  })

  test.each<[Partial<AuthenticatorOptions>, RegExp]>([
    [{ principalFrom: 'cn' as never }, /principalFrom: unknown form "cn"/],
    [{ principalFrom: 'mail' as never }, /Did you mean "email"\?/],
    [{ principalFrom: 'toString' as never }, /unknown form "toString"/],
    [{ principalFrom: 'dns', resolve: () => 'a' as never }, /both say who a client is/],
    [{ principalLifetime: -1 }, /principalLifetime: is -1/],
    [{ principalLifetime: 86_400_001 }, /a day \(86400000\) at most/],
    [{ principalLifetime: Number.NaN }, /principalLifetime: is NaN/],
  ])('%j is refused at construction', (given, says) => {
    expect(thrownBy(() => createAuthenticator({ trust: pki.trust, revocation: 'none', ...given }))).toMatch(says)
  })
})

describe('resolve', () => {
  function make(resolve: (identity: ClientIdentity) => unknown, options: Partial<AuthenticatorOptions> = {}) {
    const clock = { now: noon.getTime() }
    const asked = jest.fn(resolve)
    const auth = createAuthenticator({
      trust: pki.trust,
      revocation: 'none',
      log: false,
      now: () => clock.now,
      resolve: asked as never,
      ...options,
    })
    const ask = async ({ certificate, chain }: TestCredential = alice) => {
      const intermediates = chain.map(({ der }) => der)
      const decision = await auth.authenticateChain({ certificate: certificate.der, intermediates, via: 'tls' })
      return decision.outcome === 'accepted' ? decision.identity.principal : decision.error.code
    }
    return { ask, asked, clock, auth }
  }

  test('is asked again after principalLifetime, so that who was removed is refused', async () => {
    let known = true
    const { ask, asked, clock } = make(() => (known ? 'a' : undefined))
    expect([await ask(), await ask()]).toEqual(['a', 'a'])
    known = false
    clock.now += 5 * minute - 1
    expect(await ask()).toBe('a')
    expect(asked).toHaveBeenCalledTimes(1)
    clock.now += 1
    expect(await ask()).toBe('ERR_CLIENT_CERT_PRINCIPAL')
    expect(asked).toHaveBeenCalledTimes(2)
  })

  test('principalLifetime 0: on every request', async () => {
    const { ask, asked, clock } = make(() => 'a', { principalLifetime: 0 })
    await ask()
    clock.now += 1
    await ask()
    expect(asked).toHaveBeenCalledTimes(2)
    await ask()
    expect(asked).toHaveBeenCalledTimes(3)
  })

  test.each([
    ['resolve', (wait: () => boolean) => ({ resolve: async () => wait() && 'a' })],
    ['a rule', (wait: () => boolean) => ({ rules: rules.custom('slow', async () => wait()) })],
  ])('one that ends while %s is waited for is for this request, and asked again by the next one', async (_, slow) => {
    const { ask, asked, clock } = make(async () => 'a', {
      principalLifetime: minute,
      ...slow(() => {
        clock.now += minute
        return true
      }),
    })
    for (let i = 1; i <= 2; i++) {
      asked.mockClear()
      expect(await ask()).toBe('a')
      expect(asked.mock.calls.length).toBeLessThanOrEqual(1)
    }
  })

  test('is asked once for many requests at once, and for each certificate', async () => {
    const { ask, asked } = make(async ({ subject }) => subject.get('CN'))
    const bob = await pki.issue({ subject: 'CN=bob' })
    expect(await Promise.all([ask(), ask(), ask(bob), ask(), ask(bob)])).toEqual([
      'alice',
      'alice',
      'bob',
      'alice',
      'bob',
    ])
    expect(asked).toHaveBeenCalledTimes(2)
  })

  test('is asked again when trust was replaced', async () => {
    const store = TrustStore.parse(pki.trust)
    const { ask, asked } = make(() => 'a', { trust: store })
    await ask()
    store.reload()
    await ask()
    // A store of text gives the same snapshot again: nothing changed.
    expect(asked).toHaveBeenCalledTimes(1)
  })

  test('a failure is nobody’s principal, and is not remembered', async () => {
    let broken = true
    const { ask } = make(async () => {
      if (broken) throw new Error('database')
      return 'a'
    })
    expect(await Promise.all([ask(), ask()])).toEqual(['ERR_CLIENT_CERT_INTERNAL', 'ERR_CLIENT_CERT_INTERNAL'])
    broken = false
    expect(await ask()).toBe('a')
  })

  test.each([
    ['a promise', () => new Promise(() => {})],
    // biome-ignore lint/suspicious/noThenProperty: a promise is what has it
    ['a promise of another class', () => ({ then: () => {} }) as unknown as Promise<string>],
  ])('C-05: no answer in ten seconds refuses, whoever waits for it: %s', async (_, resolve) => {
    jest.useFakeTimers()
    const { ask } = make(resolve as never)
    const answers = Promise.all([ask(), ask()])
    await jest.advanceTimersByTimeAsync(10_000)
    expect(await answers).toEqual(['ERR_CLIENT_CERT_INTERNAL', 'ERR_CLIENT_CERT_INTERNAL'])
    jest.useRealTimers()
  })

  test('never sees the request', async () => {
    const { ask, asked } = make(() => 'a')
    await ask()
    expect(asked.mock.calls[0]).toHaveLength(1)
  })
})

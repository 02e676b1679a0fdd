/** S-06: what outlives its request ends when the identity it was opened with stops holding. */
import { EventEmitter } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import type { AuthenticatorOptions } from '../../src/core/options.js'
import {
  type AnyClientCertError,
  ClientCertConfigError,
  type ClientIdentity,
  createAuthenticator,
  type RevocationChecker,
  rules,
  TrustStore,
} from '../../src/index.js'
import { limits } from '../../src/limits.js'
import { guardConnection } from '../../src/server.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { hour, noon } from '../support/pki.js'

let pki: TestPki
let other: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  other = await createTestPki({ now: noon, name: 'Other' })
  alice = await pki.issue()
})

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'], now: noon })
})
const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const auth of open.splice(0)) await auth.close()
  await pass(1_000)
  expect(jest.getTimerCount()).toBe(0)
  jest.useRealTimers()
})

/** Lets time pass, and whatever it sets going come to its end. */
async function pass(milliseconds: number): Promise<void> {
  await jest.advanceTimersByTimeAsync(milliseconds)
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}

class Connection extends EventEmitter {
  destroyed = false
  destroy(): void {
    if (this.destroyed) return
    this.destroyed = true
    this.emit('close')
  }
}

function make(options: Partial<AuthenticatorOptions> = {}) {
  let content = pki.trust
  const store = TrustStore.assemble({ label: 'memory', load: () => TrustStore.parse(content).current() })
  const seen: string[] = []
  const auth = createAuthenticator({
    trust: store,
    revocation: 'none',
    log: false,
    onDecision: ({ outcome }) => seen.push(outcome),
    ...options,
  })
  open.push(auth, store)
  const decide = (client = alice) =>
    auth.authenticateChain({
      certificate: client.certificate.der,
      intermediates: client.chain.map(({ der }) => der),
      via: 'tls',
    })
  const identity = async (client = alice): Promise<ClientIdentity> => {
    const decision = await decide(client)
    if (decision.outcome !== 'accepted') throw decision.error
    return decision.identity
  }
  const trust = (pems: string) => {
    content = pems
    store.reload()
  }
  return { auth, decide, identity, trust, store, seen }
}

describe('a guarded connection', () => {
  test('stays open while the identity holds', async () => {
    const { identity, seen } = make()
    const connection = new Connection()
    guardConnection(connection, await identity())
    await pass(hour)
    expect(connection.destroyed).toBe(false)
    expect(seen).toEqual(['accepted'])
  })

  test('is ended when its certificate has ended, to the second', async () => {
    const { decide } = make()
    const client = await pki.issue({ notAfter: new Date(noon.getTime() + 60_000) })
    const connection = new Connection()
    guardConnection(connection, await decide(client))
    await pass(60_900)
    expect(connection.destroyed).toBe(false)
    await pass(1_200)
    expect(connection.destroyed).toBe(true)
  })

  test('is ended at once when its CA left the trust store, and one of another CA is not', async () => {
    const { identity, trust } = make()
    trust(pki.trust + other.trust)
    const [mine, theirs] = [new Connection(), new Connection()]
    guardConnection(mine, await identity())
    guardConnection(theirs, await identity(await other.issue()))
    trust(other.trust)
    await pass(0)
    expect([mine.destroyed, theirs.destroyed]).toEqual([true, false])
  })

  test('is ended within a second when its certificate was revoked', async () => {
    let generation = 1
    let status: 'good' | 'revoked' = 'good'
    const revocation: RevocationChecker = {
      name: 'list',
      get generation() {
        return generation
      },
      check: () => (status === 'good' ? { status } : { status, depth: 0 }),
    }
    const { identity } = make({ revocation })
    const connection = new Connection()
    guardConnection(connection, await identity())
    status = 'revoked'
    await pass(5_000)
    expect(connection.destroyed).toBe(false)
    generation++
    await pass(1_000)
    expect(connection.destroyed).toBe(true)
  })

  test('is ended when a rule that was to hold no longer does: the authenticator’s, and the route’s', async () => {
    let isOpen = true
    const hours = rules.custom('office hours', () => isOpen)
    const [byAuthenticator, byRoute, by] = [new Connection(), new Connection(), make()]
    const withRule = make({ rules: hours })
    guardConnection(byAuthenticator, await withRule.identity())
    guardConnection(byRoute, await by.identity(), { rule: hours })
    isOpen = false
    withRule.store.reload()
    by.store.reload()
    await pass(0)
    expect([byAuthenticator.destroyed, byRoute.destroyed]).toEqual([true, true])
  })

  test('shows custom rules the request it began with', async () => {
    const tenant = rules.custom('tenant', (_, request) => request?.headers['x-tenant'] === 'acme')
    const { identity, store } = make()
    const request = { headers: { 'x-tenant': 'acme' } } as never
    const [told, untold] = [new Connection(), new Connection()]
    guardConnection(told, await identity(), { rule: tenant, request })
    guardConnection(untold, await identity(), { rule: tenant })
    store.reload()
    await pass(0)
    expect([told.destroyed, untold.destroyed]).toEqual([false, true])
  })

  test('is ended when what changed between the decision and the guard refuses it', async () => {
    const { identity, trust } = make()
    const before = await identity()
    trust(other.trust)
    const connection = new Connection()
    guardConnection(connection, before)
    await pass(0)
    expect(connection.destroyed).toBe(true)
  })

  test('is ended when the clock was set back before its certificate began', async () => {
    const { identity } = make()
    const client = await pki.issue({ notBefore: noon })
    const connection = new Connection()
    guardConnection(connection, await identity(client))
    await pass(1_000)
    jest.setSystemTime(noon.getTime() - hour)
    await pass(1_000)
    expect(connection.destroyed).toBe(true)
  })

  test('is ended with its authenticator, and when trust is too old', async () => {
    const closed = make()
    const connection = new Connection()
    guardConnection(connection, await closed.identity())
    await closed.auth.close()
    await pass(1_000)
    expect(connection.destroyed).toBe(true)
  })

  test('calls back instead, once, with the reason, where that is wanted; and is ended where the callback throws', async () => {
    const { identity, trust } = make()
    const heard: string[] = []
    const [told, broken, rejecting] = [new Connection(), new Connection(), new Connection()]
    guardConnection(told, await identity(), { onEnd: ({ code }: AnyClientCertError) => heard.push(code) })
    guardConnection(broken, await identity(), {
      onEnd: () => {
        throw new Error('goodbye failed')
      },
    })
    guardConnection(rejecting, await identity(), { onEnd: async () => Promise.reject(new Error('later')) })
    trust(other.trust)
    await pass(0)
    trust('')
    await pass(10_000)
    expect(heard).toEqual(['ERR_CLIENT_CERT_UNKNOWN_ISSUER'])
    expect([told.destroyed, broken.destroyed, rejecting.destroyed]).toEqual([false, true, true])
  })

  test('whose answer never comes is ended after ten seconds, and does not keep others from being ended', async () => {
    let generation = 1
    let hangs = false
    const revocation: RevocationChecker = {
      name: 'slow',
      get generation() {
        return generation
      },
      check: ({ certificates }) =>
        hangs && `${certificates[0]?.subject}` === 'CN=alice'
          ? new Promise(() => {})
          : hangs
            ? { status: 'revoked', depth: 0 }
            : { status: 'good' },
    }
    const { identity } = make({ revocation })
    const [slow, quick] = [new Connection(), new Connection()]
    guardConnection(slow, await identity())
    guardConnection(quick, await identity(await pki.issue({ subject: 'CN=bob' })))
    await pass(0)
    hangs = true
    generation++
    await pass(1_000)
    expect([slow.destroyed, quick.destroyed]).toEqual([false, true])
    await pass(limits.connectionDecisionMilliseconds - 1)
    expect(slow.destroyed).toBe(false)
    await pass(1)
    expect(slow.destroyed).toBe(true)
  })

  test.each<[string, () => never]>([
    [
      'a clock',
      () => {
        throw new Error('no time')
      },
    ],
    ['a clock without hands', () => Number.NaN as never],
  ])('is ended by %s that fails', async (_, broken) => {
    let clock: () => number = Date.now
    const { identity } = make({ now: () => clock() })
    const connection = new Connection()
    guardConnection(connection, await identity())
    clock = broken
    await pass(1_000)
    expect(connection.destroyed).toBe(true)
  })
})

test('what is no identity of ours, no connection, or no acceptance, is refused', async () => {
  const { identity, decide, trust } = make()
  const good = await identity()
  trust(other.trust)
  const refused = await decide()
  const wrong: [unknown, unknown, object | undefined, RegExp][] = [
    [new Connection(), { ...good }, undefined, /given out by no authenticator/],
    [new Connection(), undefined, undefined, /given out by no authenticator/],
    [new Connection(), refused, undefined, /accepted nobody/],
    [{}, good, undefined, /first argument is the socket/],
    [undefined, good, undefined, /first argument is the socket/],
    [new Connection(), good, { rule: undefined }, /rule is not one/],
    [new Connection(), good, { onEnd: undefined }, /onEnd is a function/],
    [new Connection(), good, { onend: () => {} }, /unknown option "onend". Did you mean "onEnd"/],
  ]
  for (const [connection, subject, options, said] of wrong) {
    const call = () => guardConnection(connection as never, subject as never, options as never)
    expect(call).toThrow(said)
    expect(call).toThrow(ClientCertConfigError)
  }
})

describe('ten thousand of them', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void

  test('leave nothing behind when they are closed, and nothing when the guard is taken off', async () => {
    const { identity } = make()
    const who = await identity()
    const held: WeakRef<Connection>[] = []
    const round = async () => {
      const connections = Array.from({ length: 10_000 }, () => new Connection())
      const stops = connections.map((connection) => guardConnection(connection, who))
      await pass(1_000)
      expect(jest.getTimerCount()).toBe(1)
      for (const connection of connections.slice(0, 5_000)) connection.destroy()
      for (const stop of stops.slice(5_000)) stop()
      for (const connection of connections) expect(connection.listenerCount('close')).toBe(0)
      held.push(...connections.slice(0, 3).map((connection) => new WeakRef(connection)))
    }
    await round()
    expect(jest.getTimerCount()).toBe(0)
    await new Promise((resolve) => setImmediate(resolve))
    collect()
    expect(held.filter((reference) => reference.deref() !== undefined).length).toBe(0)
  }, 30_000)

  test('are all ended by one reload, and the event loop goes on meanwhile', async () => {
    const { identity, trust } = make()
    const who = await identity()
    const connections = Array.from({ length: 10_000 }, () => new Connection())
    for (const connection of connections) guardConnection(connection, who)
    await pass(0)
    trust(other.trust)
    let turns = 0
    while (connections.some(({ destroyed }) => !destroyed) && turns < 10_000) {
      await new Promise((resolve) => setImmediate(resolve))
      turns++
    }
    expect(connections.every(({ destroyed }) => destroyed)).toBe(true)
    expect(turns).toBeGreaterThan(100)
  }, 30_000)
})

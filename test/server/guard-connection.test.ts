/** S-06: what outlives its request ends when the identity it was opened with stops holding. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { EventEmitter } from 'node:events'
import { writeFileSync } from 'node:fs'
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import type { AuthenticatorOptions } from '../../src/core/options.js'
import {
  type AnyClientCertError,
  type CertificateChecker,
  ClientCertConfigError,
  type ClientIdentity,
  createAuthenticator,
  denyList,
  firstDefinite,
  type RevocationChecker,
  rules,
  TrustStore,
} from '../../src/index.js'
import { limits } from '../../src/limits.js'
import { guardConnection } from '../../src/server.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { Certificate } from '../../src/x509/certificate.js'
import { collectGarbage } from '../support/garbage.js'
import { fromNoon, hour, noon, temporaryFolder } from '../support/pki.js'

const folder = temporaryFolder()
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

  test('is looked at again without reading its certificate again', async () => {
    const asked = jest.fn(() => true)
    const { identity } = make({ rules: rules.custom('asked', asked) })
    const connection = new Connection()
    guardConnection(connection, await identity())
    await collectGarbage()
    const read = jest.spyOn(Certificate, 'parseInPlace')
    const before = asked.mock.calls.length
    await pass(3 * 60_000)
    expect(asked.mock.calls.length).toBeGreaterThan(before + 1)
    expect(read).not.toHaveBeenCalled()
    read.mockRestore()
    expect(connection.destroyed).toBe(false)
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
    // The checker itself is given up later, and keeps no process alive until then.
    await pass(limits.revocationMilliseconds)
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

describe('what a guarded connection depends on beside trust', () => {
  const good: CertificateChecker = {
    name: 'good',
    generation: 0,
    check: () => ({ status: 'good' }),
    statusOf: () => ({ status: 'good', validUntil: Number.POSITIVE_INFINITY }),
  }

  test('a deny list ends whom it names within a second, and nobody else', async () => {
    const denied = denyList({ entries: [] })
    const { identity } = make({ revocation: firstDefinite(denied, good) })
    const bob = await pki.issue({ subject: 'CN=bob' })
    const [hers, his] = [new Connection(), new Connection()]
    guardConnection(hers, await identity())
    guardConnection(his, await identity(bob))
    await pass(5_000)
    expect([hers.destroyed, his.destroyed]).toEqual([false, false])
    denied.replace([alice.fingerprint])
    await pass(1_000)
    expect([hers.destroyed, his.destroyed]).toEqual([true, false])
    his.destroy()
    await denied.close?.()
  })

  test('a list the rule of a route reads ends who is taken off it within a second, and nobody else', async () => {
    const bob = await pki.issue({ subject: 'CN=bob' })
    let content = [alice.certificate.pem, bob.certificate.pem]
    const partners = rules.listed({ load: () => content })
    await pass(0)
    const { identity } = make()
    const [hers, his] = [new Connection(), new Connection()]
    guardConnection(hers, await identity(), { rule: partners })
    guardConnection(his, await identity(bob), { rule: partners })
    await pass(5_000)
    expect([hers.destroyed, his.destroyed]).toEqual([false, false])
    content = [bob.certificate.pem]
    await partners.reload()
    await pass(1_000)
    expect([hers.destroyed, his.destroyed]).toEqual([true, false])
    his.destroy()
  })

  test('so does the authenticator’s own', async () => {
    const bob = await pki.issue({ subject: 'CN=bob' })
    let content = [alice.certificate.pem, bob.certificate.pem]
    const partners = rules.listed({ load: () => content })
    await pass(0)
    const { identity } = make({ rules: partners })
    const [hers, his] = [new Connection(), new Connection()]
    guardConnection(hers, await identity())
    guardConnection(his, await identity(bob))
    content = [bob.certificate.pem]
    await pass(5_000)
    expect([hers.destroyed, his.destroyed]).toEqual([false, false])
    await partners.reload()
    await pass(1_000)
    expect([hers.destroyed, his.destroyed]).toEqual([true, false])
    his.destroy()
  })

  test('an exception holds until it is taken out of its file, and no longer than it says', async () => {
    const expired = { notBefore: fromNoon(-2 * hour), notAfter: fromNoon(-hour) }
    const [mended, ending] = [await pki.issue(expired), await pki.issue(expired)]
    const entry = ({ fingerprint }: TestCredential, milliseconds: number) => ({
      fingerprint,
      ignore: ['expired'],
      until: fromNoon(milliseconds).toISOString(),
      reason: 'renewal is on its way',
    })
    const file = folder('exceptions.json')
    writeFileSync(file, JSON.stringify([entry(mended, hour), entry(ending, 60_000)]))
    const { identity } = make({ exceptions: { file } })
    const [first, second] = [new Connection(), new Connection()]
    guardConnection(first, await identity(mended))
    guardConnection(second, await identity(ending))
    await pass(59_000)
    expect([first.destroyed, second.destroyed]).toEqual([false, false])
    await pass(2_000)
    expect([first.destroyed, second.destroyed]).toEqual([false, true])
    writeFileSync(file, '[]')
    await pass(4_000)
    expect(first.destroyed).toBe(true)
  })

  test('rules that read the clock, or anything else, are asked again every minute', async () => {
    let isOpen = true
    const { identity } = make()
    const [open, ends, own] = [new Connection(), new Connection(), new Connection()]
    const client = await pki.issue({ notAfter: fromNoon(2 * hour) })
    guardConnection(open, await identity(client), { rule: rules.validFor('30m') })
    guardConnection(ends, await identity(client), { rule: rules.validFor('90m') })
    const withRule = make({ rules: rules.custom('office hours', () => isOpen) })
    guardConnection(own, await withRule.identity())
    await pass(29 * 60_000)
    expect([open.destroyed, ends.destroyed, own.destroyed]).toEqual([false, false, false])
    isOpen = false
    await pass(3 * 60_000)
    expect([open.destroyed, ends.destroyed, own.destroyed]).toEqual([false, true, true])
    open.destroy()
  })

  test('only refusals are news: of the rule of a route, too', async () => {
    const heard: unknown[] = []
    const listen = (event: unknown) => heard.push((event as { outcome: string }).outcome)
    let isOpen = true
    const { identity, store, seen } = make()
    const connection = new Connection()
    guardConnection(connection, await identity(), { rule: rules.custom('office hours', () => isOpen) })
    subscribe('mtls-identity:decision', listen)
    store.reload()
    await pass(1_000)
    expect([seen, heard]).toEqual([['accepted'], []])
    isOpen = false
    store.reload()
    await pass(1_000)
    unsubscribe('mtls-identity:decision', listen)
    expect(connection.destroyed).toBe(true)
    expect([seen, heard]).toEqual([['accepted', 'refused'], ['refused']])
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
    await collectGarbage()
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

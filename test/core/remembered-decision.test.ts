/** A decision that is remembered with a session: the same for every request, at once, and only as long as everything it was made with holds. */
import type { IncomingMessage } from 'node:http'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { type AuthenticatorInternals, internals } from '../../src/core/contract.js'
import { createMount } from '../../src/core/mount.js'
import {
  type AuditEvent,
  type AuthenticatorOptions,
  createAuthenticator,
  type Decision,
  rules,
  TrustStore,
} from '../../src/index.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { day, fromNoon, noon, second } from '../support/pki.js'

let pki: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue()
})

function make(options: Partial<AuthenticatorOptions> = {}, client = alice) {
  const clock = { now: noon.getTime() }
  const presented = {
    certificate: client.certificate.der,
    intermediates: client.chain.map(({ der }) => der),
    via: 'tls' as const,
  }
  const reading = { presented, session: {} }
  const audits: AuditEvent[] = []
  const auth = createAuthenticator({
    trust: TrustStore.parse(pki.trust),
    revocation: 'none',
    log: false,
    source: { name: 'one connection', read: () => reading },
    onDecision: (_, { audit }) => audits.push(audit),
    now: () => clock.now,
    ...options,
  }) as AuthenticatorInternals
  const request = () => ({ socket: {}, headers: {}, rawHeaders: [] }) as unknown as IncomingMessage
  const decide = () => auth.authenticate(request())
  return { auth, clock, audits, request, decide }
}

const verdict = (decision: Decision) => (decision.outcome === 'accepted' ? 'accepted' : decision.error.code)

test('the next request of a session gets the same decision, which nobody can change', async () => {
  const { decide, clock } = make()
  const first = await decide()
  clock.now += second
  const next = await decide()
  expect(next).toBe(first)
  next.decidedAt.setTime(0)
  if (next.outcome === 'accepted') next.validUntil.setTime(0)
  expect(next.decidedAt).toEqual(noon)
  expect(next.outcome === 'accepted' && next.validUntil.getTime()).toBeGreaterThan(noon.getTime())
  expect(() => Object.assign(next, { outcome: 'refused' })).toThrow(TypeError)
  expect({ ...next }).toEqual(next)
})

test('it is there at once: a mount makes nobody wait, and nothing is promised', async () => {
  const { auth, request } = make()
  const mount = createMount({ authenticator: auth })
  const response = { getHeader: () => undefined, setHeader: () => undefined }
  const first = mount(request(), response)
  expect(first).toBeInstanceOf(Promise)
  expect(await first).toBeUndefined()
  expect(mount(request(), response)).toBeUndefined()
})

test('an audit event has the time of its request, and says that nothing was verified anew', async () => {
  const { decide, clock, audits } = make()
  await decide()
  clock.now += second
  await decide()
  expect(audits).toMatchObject([
    { time: noon.toISOString(), remembered: false },
    { time: fromNoon(second).toISOString(), remembered: true, fingerprint: alice.fingerprint, via: 'tls' },
  ])
})

describe('a decision is made anew', () => {
  test('after its end, and after a clock was set back', async () => {
    const { decide, clock } = make()
    const first = await decide()
    clock.now -= 1
    const back = await decide()
    expect(back).not.toBe(first)
    expect(back.outcome).toBe('accepted')
    clock.now = first.outcome === 'accepted' ? first.validUntil.getTime() + 1 : 0
    expect(verdict(await decide())).toBe('ERR_CLIENT_CERT_EXPIRED')
  })

  test('when trust is another, and when the checker says that something has changed', async () => {
    const stranger = await createTestPki({ now: noon, name: 'Other' })
    let pem = pki.trust
    const trust = TrustStore.from(() => pem, { refresh: 3_600_000 })
    const checker = { name: 'own', generation: 0, check: jest.fn(() => ({ status: 'good' as const })) }
    const { auth, decide } = make({ trust, revocation: checker })
    await auth.ready()
    const first = await decide()
    checker.generation++
    const second = await decide()
    expect(second.outcome).toBe('accepted')
    expect(second).not.toBe(first)
    pem = stranger.trust
    await trust.refresh()
    expect(verdict(await decide())).toBe('ERR_CLIENT_CERT_UNKNOWN_ISSUER')
    trust.close()
  })

  test('and refused, when the authenticator was closed', async () => {
    const { auth, decide } = make()
    await decide()
    await auth.close()
    expect(verdict(await decide())).toBe('ERR_CLIENT_CERT_NOT_READY')
  })

  test('for every request where a rule looks at it', async () => {
    const asked = jest.fn((_: unknown, request: { holds?: boolean } | undefined) => request?.holds === true)
    const { auth, request } = make({ rules: rules.custom('of the request', asked as never) })
    expect(verdict(await auth.authenticate(Object.assign(request(), { holds: true })))).toBe('accepted')
    expect(verdict(await auth.authenticate(request()))).toBe('ERR_CLIENT_CERT_RULE')
    expect(verdict(await auth.authenticate(Object.assign(request(), { holds: true })))).toBe('accepted')
    expect(asked).toHaveBeenCalledTimes(3)
  })

  test('for every request that an exception admits, so that its uses are counted', async () => {
    const expired = await pki.issue({ notBefore: fromNoon(-2 * day), notAfter: fromNoon(-day) })
    const { decide } = make(
      {
        exceptions: [
          {
            fingerprint: expired.fingerprint,
            ignore: ['expired'],
            until: fromNoon(day),
            reason: 'renewal is on its way',
          },
        ],
      },
      expired,
    )
    const uses = []
    for (let i = 0; i < 3; i++) {
      const decision = await decide()
      uses.push(decision.outcome === 'accepted' && decision.exception?.uses)
    }
    expect(uses).toEqual([1, 2, 3])
  })
})

test('a mount that enforces and one in report-only mode each have their own', async () => {
  const { auth, request } = make({ rules: rules.commonName('alice') })
  const decided = async (enforced: boolean) => auth[internals].decide(request(), { enforced, absentPasses: false })
  const enforced = await decided(true)
  const reported = await decided(false)
  expect([enforced.enforced, reported.enforced]).toEqual([true, false])
  expect(await decided(true)).toBe(enforced)
  expect(await decided(false)).toBe(reported)
})

/** What is attached to a request is its alone: no copy has it, no wrapper, and no other version of this package is misled by it. */
import type { IncomingMessage } from 'node:http'
import { beforeEach, describe, expect, test } from '@jest/globals'
import { hasDecision, identityOf, makeGuard, requireIdentity } from '../../src/core/guard.js'
import { createMount } from '../../src/core/mount.js'
import { type Authenticator, ClientCertConfigError, createAuthenticator } from '../../src/index.js'
import { createTestPki } from '../../src/testing.js'

const response = { getHeader: () => undefined, setHeader: () => undefined }
const fresh = () => ({ socket: {}, headers: {}, rawHeaders: [] }) as unknown as IncomingMessage

let authenticator: Authenticator
let request: IncomingMessage
beforeEach(async () => {
  const pki = await createTestPki()
  const { certificate, chain } = await pki.issue({ subject: 'CN=alice' })
  const presented = { certificate: certificate.der, intermediates: chain.map(({ der }) => der), via: 'tls' as const }
  const source = { name: 'own', read: () => ({ presented, session: certificate }) }
  authenticator = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false, source })
  request = fresh()
  expect(await createMount({ authenticator })(request, response)).toBeUndefined()
  expect(identityOf(request)?.subject.get('CN')).toBe('alice')
})

describe('nobody is who a request is', () => {
  test.each([
    ['a copy', (given: IncomingMessage) => ({ ...given })],
    ['one that inherits from it', (given: IncomingMessage) => Object.create(given)],
    ['a proxy', (given: IncomingMessage) => new Proxy(given, {})],
    ['the next request', fresh],
    ['nothing', () => undefined],
    ['a name', () => 'alice'],
  ])('by being %s', async (_, other) => {
    const carrier = other(request) as IncomingMessage
    expect(hasDecision(carrier)).toBe(false)
    expect(() => requireIdentity(carrier)).toThrow(ClientCertConfigError)
    expect((await makeGuard()(carrier))?.error).toBeInstanceOf(ClientCertConfigError)
  })
})

test('a copy of version 0.1.0 in the same process keeps its decisions in a map of its own', async () => {
  const maps = (globalThis as never)[Symbol.for('mtls-identity/1')] as Map<string, WeakMap<object, unknown>>
  const former = maps.get('requests') ?? new WeakMap<object, unknown>()
  maps.set('requests', former)
  expect(former.get(request)).toBeUndefined()
  former.set(request, new Map([[authenticator, { decision: { outcome: 'refused' } }]]))
  expect(identityOf(request)?.subject.get('CN')).toBe('alice')
  expect(await createMount({ authenticator })(request, response)).toBeUndefined()
})

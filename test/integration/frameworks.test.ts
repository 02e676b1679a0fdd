/** How refusals, identities and mistakes travel through Express 5 and 4 and Koa 3 and 2. */
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import type express from 'express'
import * as forExpress from '../../src/express.js'
import {
  type AuthenticatorOptions,
  ClientCertConfigError,
  type ClientIdentity,
  createAuthenticator,
  type Decision,
  isClientCertError,
  rules,
} from '../../src/index.js'
import * as forKoa from '../../src/koa.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { type Answer, connectHttp2, get, json, keepAlive } from '../support/clients.js'
import {
  type Framework,
  frameworks,
  type Listener,
  makers,
  type Plan,
  type Seen,
  serveHttp2,
  serveHttps,
  who,
} from '../support/servers.js'

let pki: TestPki
let alice: TestCredential
let stranger: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue({ subject: 'CN=alice,O=Secret Org' })
  stranger = await (await createTestPki({ name: 'Other' })).issue({ subject: 'CN=mallory,O=Secret Org' })
})

function make(options: Partial<AuthenticatorOptions> = {}) {
  const decisions: Decision[] = []
  const lines: string[] = []
  const auth = createAuthenticator({
    trust: pki.trust,
    revocation: 'none',
    log: (line) => lines.push(line),
    onDecision: (decision) => decisions.push(decision),
    ...options,
  })
  return { auth, decisions, lines }
}

/** One server for a plan; a function that asks it. */
async function serve({ listener }: Framework, plan: Plan) {
  const port = await serveHttps(make().auth, listener(plan))
  return (client?: TestCredential, path = '/', headers: Record<string, string> = {}) =>
    get(port, client, { path, headers })
}

/** An application's own error handler: it sees the error with its code. */
const showing: Plan['onError'] = (error) => ({
  status: error.status ?? 500,
  body: { name: error.name, code: error.code, message: error.message, isOurs: isClientCertError(error) },
})

/** What must never reach a client unless the application sends it. */
function expectNoLeak({ body, headers }: Answer) {
  const everything = body + JSON.stringify(headers)
  for (const secret of [
    'ERR_',
    'mallory',
    'alice',
    'Secret Org',
    'Lab ',
    'Other ',
    '.ts',
    '/src/',
    'mtls',
    'trust:',
    'at ',
  ]) {
    expect(everything).not.toContain(secret)
  }
}

for (const framework of frameworks) {
  describe(framework.name, () => {
    describe('a refusal goes through the framework’s own error handling', () => {
      for (const env of ['production', 'development'] as const) {
        test(`and its default handler (${env}) answers with status and challenge, and O-04 leaks nothing`, async () => {
          const ask = await serve(framework, { mounts: [{ authenticator: make().auth }], env })
          const absent = await ask()
          expect(absent.status).toBe(401)
          expect(absent.headers['www-authenticate']).toBe('ClientCertificate')
          expectNoLeak(absent)
          const refused = await ask(stranger)
          expect(refused.status).toBe(403)
          expect(refused.headers['www-authenticate']).toBeUndefined()
          expectNoLeak(refused)
        })
      }

      test('and O-04: the default handler answers the same to every kind of wrong certificate', async () => {
        const ask = await serve(framework, {
          mounts: [{ authenticator: make().auth }],
          guards: [[rules.commonName('nobody')]],
        })
        const others = [stranger, alice, await pki.issue({ notAfter: new Date(Date.now() - 1000) })]
        const answers = await Promise.all(others.map((client) => ask(client)))
        const visible = answers.map(({ status, body, headers: { date: _, ...headers } }) => ({ status, body, headers }))
        expect(visible[1]).toEqual(visible[0])
        expect(visible[2]).toEqual(visible[0])
      })

      test('and the application’s error handler sees the code', async () => {
        const ask = await serve(framework, { mounts: [{ authenticator: make().auth }], onError: showing })
        expect(json(await ask())).toEqual({
          name: 'ClientCertError',
          code: 'ERR_CLIENT_CERT_ABSENT',
          message: 'client certificate required',
          isOurs: true,
        })
        expect(json(await ask(stranger))).toMatchObject({ code: 'ERR_CLIENT_CERT_UNKNOWN_ISSUER' })
      })

      test('and the handler is not called', async () => {
        const handler = jest.fn(who)
        const ask = await serve(framework, { mounts: [{ authenticator: make().auth }], handler })
        await ask()
        await ask(stranger)
        expect(handler).not.toHaveBeenCalled()
        expect((await ask(alice)).status).toBe(200)
        expect(handler).toHaveBeenCalledTimes(1)
      })

      test('C-04: whatever the method', async () => {
        const handler = jest.fn(who)
        const port = await serveHttps(
          make().auth,
          framework.listener({ mounts: [{ authenticator: make().auth }], handler }),
        )
        for (const method of ['OPTIONS', 'HEAD', 'TRACE', 'POST', 'DELETE', 'PROPFIND']) {
          expect([method, (await get(port, undefined, { method })).status]).toEqual([method, 401])
        }
        expect(handler).not.toHaveBeenCalled()
      })

      test('and an error of the handler stays the application’s', async () => {
        const handler = () => {
          throw Object.assign(new Error('teapot'), { status: 418 })
        }
        const ask = await serve(framework, { mounts: [{ authenticator: make().auth }], handler, onError: showing })
        const answer = await ask(alice)
        expect([answer.status, json(answer).message]).toEqual([418, 'teapot'])
      })
    })

    describe('the responses option', () => {
      test('chooses the status of each kind of refusal, with the header fields that belong to it', async () => {
        const { auth } = make({
          revocation: {
            name: 'fickle',
            check: ({ certificates: [leaf] }) =>
              leaf?.subject.get('CN') === 'bob' ? { status: 'unknown', reason: 'offline' } : { status: 'good' },
          },
        })
        const responses = { absent: 403, refused: 404, undetermined: 500, malformed: 422 }
        const ask = await serve(framework, { mounts: [{ authenticator: auth, responses }] })
        const bob = await pki.issue({ subject: 'CN=bob' })
        const answers = [await ask(), await ask(stranger), await ask(bob), await ask(alice)]
        expect(answers.map(({ status }) => status)).toEqual([403, 404, 500, 200])
        expect(answers[0]?.headers['www-authenticate']).toBeUndefined()
      })

      test('tells the client the code where exposeReason says so, and no more than the code', async () => {
        const ask = await serve(framework, {
          mounts: [{ authenticator: make().auth, responses: { exposeReason: true } }],
          env: 'development',
        })
        const { body } = await ask(stranger)
        if (framework.isKoa) expect(body).toContain('ERR_CLIENT_CERT_UNKNOWN_ISSUER')
        for (const secret of ['mallory', 'Secret', 'Other', '.ts']) expect(body).not.toContain(secret)
      })

      test('leaves 503 with Retry-After', async () => {
        const { auth } = make({ revocation: { name: 'off', check: () => ({ status: 'unknown', reason: 'offline' }) } })
        const ask = await serve(framework, { mounts: [{ authenticator: auth }] })
        const answer = await ask(alice)
        expect([answer.status, answer.headers['retry-after']]).toEqual([503, '5'])
      })

      test('answers a guard’s refusal as its mount says', async () => {
        const ask = await serve(framework, {
          mounts: [{ authenticator: make().auth, responses: { refused: 404 } }],
          guards: [[rules.commonName('admin')]],
        })
        expect((await ask(alice)).status).toBe(404)
      })
    })

    describe('modes', () => {
      test('C-06 optional: none passes without an identity, a wrong one is still refused', async () => {
        const { auth, lines } = make()
        const ask = await serve(framework, { mounts: [{ authenticator: auth, mode: 'optional' }] })
        expect(json(await ask())).toEqual({ cn: null })
        expect((await ask(stranger)).status).toBe(403)
        expect(json(await ask(alice))).toEqual({ cn: 'alice' })
        expect(lines).toHaveLength(1)
      })

      test('optional with a guard: none is refused there with 401, and the operator is told', async () => {
        const { auth, lines } = make()
        const ask = await serve(framework, { mounts: [{ authenticator: auth, mode: 'optional' }], guards: [[]] })
        const answer = await ask()
        expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, 'ClientCertificate'])
        expect(lines).toHaveLength(1)
        expect((await ask(alice)).status).toBe(200)
      })

      test('report-only: refuses nobody, reports everybody, and gives an identity only to who would pass', async () => {
        const { auth, decisions, lines } = make()
        const ask = await serve(framework, {
          mounts: [{ authenticator: auth, mode: 'report-only' }],
          guards: [[rules.commonName('admin')]],
        })
        expect([await ask(), await ask(stranger)].map((answer) => [answer.status, json(answer).cn])).toEqual([
          [200, null],
          [200, null],
        ])
        expect(lines).toHaveLength(3)
        const accepted = await ask(alice)
        expect(accepted.status).toBe(200)
        expect(lines.at(-1)).toContain('commonName("admin") did not hold')
        expect(lines.every((line) => line.startsWith('mtls-identity (report-only) ERR_'))).toBe(true)
        expect(decisions.every(({ enforced }) => !enforced)).toBe(true)
      })

      test('skip: only true skips, and makes no decision', async () => {
        const { auth, decisions } = make()
        const skip = ({ url }: { url?: string }) => {
          if (url === '/throws') throw new Error('broken')
          if (url === '/promise') return Promise.resolve(true) as never
          if (url === '/truthy') return 'true' as never
          return url === '/healthz'
        }
        const ask = await serve(framework, { mounts: [{ authenticator: auth, skip: skip as never }] })
        expect(json(await ask(undefined, '/healthz'))).toEqual({ cn: null })
        expect(json(await ask(alice, '/healthz'))).toEqual({ cn: null })
        expect(decisions).toHaveLength(0)
        for (const path of ['/', '/throws', '/promise', '/truthy']) {
          expect([path, (await ask(undefined, path)).status]).toEqual([path, 401])
        }
      })

      test('skip does not open a guarded route', async () => {
        const handler = jest.fn(who)
        const ask = await serve(framework, {
          mounts: [{ authenticator: make().auth, skip: () => true }],
          guards: [[]],
          handler,
        })
        expect((await ask()).status).toBe(500)
        expect((await ask(alice)).status).toBe(500)
        expect(handler).not.toHaveBeenCalled()
      })
    })

    describe('several mounts', () => {
      test('of one authenticator are one decision', async () => {
        const { auth, decisions } = make()
        const mount = { authenticator: auth }
        const ask = await serve(framework, { mounts: [mount, mount, mount] })
        expect((await ask(alice)).status).toBe(200)
        expect(decisions).toHaveLength(1)
        expect((await ask()).status).toBe(401)
        expect(decisions).toHaveLength(2)
      })

      test('of one authenticator: the stricter one refuses what the laxer one let pass, and says so to the operator', async () => {
        for (const mode of ['optional', 'report-only'] as const) {
          const { auth, decisions, lines } = make()
          const ask = await serve(framework, { mounts: [{ authenticator: auth, mode }, { authenticator: auth }] })
          expect((await ask()).status).toBe(401)
          expect(lines.filter((line) => line.startsWith('mtls-identity ERR_CLIENT_CERT_ABSENT'))).toHaveLength(1)
          expect(decisions.at(-1)?.enforced).toBe(true)
        }
      })

      test('of two authenticators both enforce, and the property is the last one’s', async () => {
        const other = await createTestPki({ name: 'Second' })
        const first = make()
        const second = make({ trust: other.trust })
        const both = [{ authenticator: first.auth }, { authenticator: second.auth }]
        const ask = await serve(framework, { mounts: both })
        expect((await ask(alice)).status).toBe(403)
        expect((await ask(await other.issue())).status).toBe(403)
        const lax = [{ authenticator: first.auth }, { authenticator: second.auth, mode: 'report-only' as const }]
        expect(json(await (await serve(framework, { mounts: lax }))(alice))).toEqual({ cn: null })
        expect(json(await (await serve(framework, { mounts: [...lax].reverse() }))(alice))).toEqual({ cn: 'alice' })
      })

      test('of two authenticators: a guard that names none is a 500, one that names its own decides by it', async () => {
        const [first, second] = [make(), make()]
        const mounts = [{ authenticator: first.auth }, { authenticator: second.auth }]
        const unnamed = await serve(framework, { mounts, guards: [[rules.commonName('alice')]], onError: showing })
        const answer = await unnamed(alice)
        expect(answer.status).toBe(500)
        expect(json(answer)).toMatchObject({
          code: 'ERR_CLIENT_CERT_CONFIG',
          message: expect.stringContaining('several authenticators decided'),
        })
        const authenticator = first.auth
        const named = await serve(framework, { mounts, guards: [[rules.commonName('alice'), { authenticator }]] })
        expect((await named(alice)).status).toBe(200)
        expect((await named(await pki.issue({ subject: 'CN=bob' }))).status).toBe(403)
      })

      test('a guard that names an authenticator that was not mounted is a 500', async () => {
        const guards: Plan['guards'] = [[undefined, { authenticator: make().auth }]]
        const ask = await serve(framework, { mounts: [{ authenticator: make().auth }], guards, onError: showing })
        const answer = await ask(alice)
        expect(answer.status).toBe(500)
        expect(json(answer).message).toContain('this authenticator has not decided about this request')
      })
    })

    describe('mistakes of the application refuse', () => {
      test('a guard without the middleware is a 500 that says so to the operator, and only to them', async () => {
        const ask = await serve(framework, { guards: [[]], onError: showing })
        const answer = await ask(alice)
        expect(answer.status).toBe(500)
        expect(json(answer)).toMatchObject({
          code: 'ERR_CLIENT_CERT_CONFIG',
          message: expect.stringContaining('clientCert() never ran for this request'),
        })
        const silent = await (await serve(framework, { guards: [[]] }))(alice)
        expect(silent.status).toBe(500)
        expectNoLeak(silent)
      })

      test('clientIdentity() throws a 500 where there is none, and returns the frozen identity where there is', async () => {
        const handler = ({ identity, property }: Seen) => {
          const found = identity()
          return { same: found === property, frozen: Object.isFrozen(found), cn: found.subject.get('CN') }
        }
        const { auth } = make()
        const plans: [Plan, string][] = [
          [{}, 'clientCert() never ran for this request'],
          [{ mounts: [{ authenticator: auth, mode: 'optional' }] }, 'requireClientCert() before the handler'],
          // What a guard lets pass there has no identity either.
          [
            { mounts: [{ authenticator: auth, mode: 'report-only' }], guards: [[]] },
            'read the property clientIdentity',
          ],
        ]
        for (const [plan, fix] of plans) {
          const answer = await (await serve(framework, { ...plan, handler, onError: showing }))()
          expect(answer.status).toBe(500)
          expect(json(answer)).toMatchObject({ code: 'ERR_CLIENT_CERT_CONFIG', message: expect.stringContaining(fix) })
        }
        const ask = await serve(framework, { mounts: [{ authenticator: make().auth }], handler })
        expect(json(await ask(alice))).toEqual({ same: true, frozen: true, cn: 'alice' })
      })

      test('an authenticator given to a mount together with its options is a mistake that names the option', () => {
        const { auth } = make()
        expect(() => framework.listener({ mounts: [{ authenticator: auth, trust: pki.trust } as never] })).toThrow(
          '"trust" belongs to createAuthenticator()',
        )
      })
    })

    describe('the identity of a request', () => {
      test('cannot be assigned', async () => {
        const handler = ({ carrier, property }: Seen) => {
          let threw = false
          try {
            carrier.clientIdentity = { forged: true }
          } catch (error) {
            threw = error instanceof TypeError
          }
          return { threw, same: carrier.clientIdentity === property }
        }
        const ask = await serve(framework, { mounts: [{ authenticator: make().auth, mode: 'optional' }], handler })
        expect(json(await ask(alice))).toEqual({ threw: true, same: true })
        expect(json(await ask())).toEqual({ threw: true, same: true })
      })

      test('cannot be forged before the middleware, nor by its own descriptor after it', async () => {
        const forged = { subject: { get: () => 'root' } }
        const before = (carrier: Record<string, unknown>) => {
          carrier.clientIdentity = forged
          if (framework.isKoa) (carrier.state as Record<string, unknown>).clientIdentity = forged
        }
        const handler = ({ carrier, property, identity }: Seen) => {
          const answer = {
            property: property?.subject.get('CN') ?? null,
            state: 'none' as unknown,
            by: 'nobody' as unknown,
          }
          if (framework.isKoa) answer.state = (carrier.state as Record<string, unknown>).clientIdentity ?? null
          Object.defineProperty(carrier, 'clientIdentity', { value: forged })
          try {
            answer.by = identity().subject.get('CN')
          } catch {}
          return answer
        }
        const mounts: Plan['mounts'] = [{ authenticator: make().auth, mode: 'optional' }]
        const ask = await serve(framework, { before, mounts, handler })
        expect(json(await ask())).toEqual({ property: null, state: framework.isKoa ? null : 'none', by: 'nobody' })
        const own = json(await ask(alice))
        expect([own.property, own.by]).toEqual(['alice', 'alice'])
      })

      test('is that of the request on what is derived from it, and on what stands for it', async () => {
        const handler = ({ carrier }: Seen) => {
          const seen = [Object.create(carrier), new Proxy(carrier, {}), carrier] as {
            clientIdentity?: ClientIdentity
          }[]
          return seen.map(({ clientIdentity }) => clientIdentity?.subject.get('CN') ?? null)
        }
        const ask = await serve(framework, { mounts: [{ authenticator: make().auth, mode: 'optional' }], handler })
        expect(json(await ask(alice))).toEqual(['alice', 'alice', 'alice'])
        expect(json(await ask())).toEqual([null, null, null])
      })

      test('shows through a name that the application’s prototype has for something else', async () => {
        const handler = ({ carrier }: Seen) => ({
          name: (carrier as { clientIdentity?: ClientIdentity }).clientIdentity?.subject.get('CN') ?? null,
        })
        const before = (carrier: Record<string, unknown>) => {
          Object.defineProperty(Object.getPrototypeOf(carrier), 'clientIdentity', {
            configurable: true,
            writable: true,
            value: { forged: true },
          })
        }
        const ask = await serve(framework, {
          before,
          mounts: [{ authenticator: make().auth, mode: 'optional' }],
          handler,
        })
        expect(json(await ask(alice))).toEqual({ name: 'alice' })
        expect(json(await ask())).toEqual({ name: null })
      })

      test('a property that somebody nailed to the request refuses, and neither hangs nor crashes', async () => {
        const before = (carrier: Record<string, unknown>) => {
          Object.defineProperty(carrier, 'clientIdentity', { value: { forged: true }, configurable: false })
        }
        const handler = jest.fn(who)
        const ask = await serve(framework, { before, mounts: [{ authenticator: make().auth }], handler })
        expect((await ask(alice)).status).toBe(500)
        expect(handler).not.toHaveBeenCalled()
      })

      test('H-16: belongs to its request, not to the connection', async () => {
        const { auth } = make()
        const listener = framework.listener({
          mounts: [{ authenticator: auth, mode: 'optional', skip: ({ url }) => url === '/skipped' }],
        })
        const ask = keepAlive(await serveHttps(auth, listener), alice)
        const answers = [await ask(), await ask({ path: '/skipped' }), await ask()]
        expect(answers.map((answer) => json(answer).cn)).toEqual(['alice', null, 'alice'])
        expect(new Set(answers.map(({ connection }) => connection)).size).toBe(1)
      })
    })

    describe('rules', () => {
      test('one connection, two URLs, two verdicts', async () => {
        const { auth } = make({ rules: rules.custom('not /admin', (_, request) => request?.url !== '/admin') })
        const ask = keepAlive(await serveHttps(auth, framework.listener({ mounts: [{ authenticator: auth }] })), alice)
        const answers = [await ask(), await ask({ path: '/admin' }), await ask(), await ask({ path: '/admin' })]
        expect(answers.map(({ status }) => status)).toEqual([200, 403, 200, 403])
        expect(new Set(answers.map(({ connection }) => connection)).size).toBe(1)
      })

      test('run on every request, although the authentication is remembered', async () => {
        const rule = jest.fn(() => true)
        const guard = jest.fn(() => true)
        const { auth } = make({ rules: rules.custom('counted', rule) })
        const listener = framework.listener({
          mounts: [{ authenticator: auth }],
          guards: [[rules.custom('counted', guard)]],
        })
        const ask = keepAlive(await serveHttps(auth, listener), alice)
        for (let i = 0; i < 5; i++) expect((await ask()).status).toBe(200)
        expect([rule.mock.calls.length, guard.mock.calls.length]).toEqual([5, 5])
        rule.mockReturnValue(false)
        expect((await ask()).status).toBe(403)
      })

      const broken: [name: string, rule: () => unknown][] = [
        [
          'throws',
          () => {
            throw new Error('broken')
          },
        ],
        ['rejects', () => Promise.reject(new Error('broken'))],
        [
          'rejects late',
          async () => {
            await new Promise((resolve) => setTimeout(resolve, 5))
            throw new Error('broken')
          },
        ],
        ['returns nothing', () => undefined],
        ['returns 1', () => 1],
        ['returns "true"', () => 'true'],
        ['returns an object', () => ({ decision: 'allow' })],
        ['resolves to an object', () => Promise.resolve({})],
        ['hangs', () => new Promise(() => {})],
        [
          'is a thenable that calls back twice',
          () => ({
            // biome-ignore lint/suspicious/noThenProperty: what is tested
            then: (done: (value: unknown) => void) => {
              done(1)
              done(true)
            },
          }),
        ],
        [
          'is a thenable that throws',
          () => ({
            // biome-ignore lint/suspicious/noThenProperty: what is tested
            then: () => {
              throw new Error('broken')
            },
          }),
        ],
      ]
      for (const [name, rule] of broken) {
        test(`C-05: a rule that ${name} refuses, once, as the authenticator’s rule and as a guard’s`, async () => {
          const custom = rules.custom('broken', rule as never, { timeout: 50 })
          const onError = jest.fn(showing)
          const handler = jest.fn(who)
          const asRule = await serve(framework, {
            mounts: [{ authenticator: make({ rules: custom }).auth }],
            onError,
            handler,
          })
          const asGuard = await serve(framework, {
            mounts: [{ authenticator: make().auth }],
            guards: [[custom]],
            onError,
            handler,
          })
          for (const ask of [asRule, asGuard]) {
            const answer = await ask(alice)
            expect([answer.status, json(answer).code]).toEqual([403, 'ERR_CLIENT_CERT_RULE'])
          }
          expect(onError).toHaveBeenCalledTimes(2)
          expect(handler).not.toHaveBeenCalled()
        })
      }

      test('C-05: the operator reads that resolve() threw, and what, and is asked for no report of a bug', async () => {
        const { auth, lines } = make({
          resolve: (() => {
            throw new Error('database')
          }) as never,
        })
        const ask = await serve(framework, { mounts: [{ authenticator: auth }] })
        expect((await ask(alice)).status).toBe(500)
        expect(lines).toEqual([
          'mtls-identity ERR_CLIENT_CERT_INTERNAL: resolve() failed, which refuses: "Error: database" — mend it, or what it asks',
        ])
      })

      test('C-05: a resolve() that throws, rejects or knows nobody refuses', async () => {
        const answers = await Promise.all(
          [
            () => undefined,
            () => null,
            () => {
              throw new Error('database')
            },
            async () => {
              throw new Error('database')
            },
          ].map(async (resolve) => {
            const ask = await serve(framework, {
              mounts: [{ authenticator: make({ resolve: resolve as never }).auth }],
            })
            return (await ask(alice)).status
          }),
        )
        expect(answers).toEqual([403, 403, 500, 500])
      })
    })
  })
}

describe('HTTP/2', () => {
  for (const framework of frameworks.filter(({ isKoa }) => isKoa)) {
    test(`${framework.name}: refusals, challenge, guards and identities are those of HTTP/1.1`, async () => {
      const { auth } = make()
      const plan: Plan = {
        mounts: [{ authenticator: auth, mode: 'optional' }],
        guards: [[rules.commonName('alice')]],
        onError: showing,
      }
      const port = await serveHttp2(auth, framework.listener(plan), { allowHTTP1: true })
      const ask = async (client?: TestCredential) => (await connectHttp2(port, { client })).get()
      expect(json(await ask(alice))).toEqual({ cn: 'alice' })
      expect(json(await ask())).toMatchObject({ code: 'ERR_CLIENT_CERT_ABSENT' })
      expect((await ask(stranger)).status).toBe(403)
      expect(json(await ask(await pki.issue({ subject: 'CN=bob' })))).toMatchObject({ code: 'ERR_CLIENT_CERT_RULE' })
      expect(json(await get(port, alice))).toEqual({ cn: 'alice' })
      const unhandled = await serveHttp2(auth, framework.listener({ mounts: [{ authenticator: auth }] }))
      const refused = await (await connectHttp2(unhandled)).get()
      expect([refused.status, refused.headers['www-authenticate']]).toEqual([401, 'ClientCertificate'])
    })

    test(`${framework.name}: one connection, two paths, two verdicts, and one decision per request`, async () => {
      const { auth, decisions } = make({ rules: rules.custom('not /admin', (_, request) => request?.url !== '/admin') })
      const mount = { authenticator: auth }
      const { get } = await connectHttp2(await serveHttp2(auth, framework.listener({ mounts: [mount, mount] })), {
        client: alice,
      })
      const answers = await Promise.all([get(), get({ path: '/admin' }), get()])
      expect(answers.map(({ status }) => status)).toEqual([200, 403, 200])
      expect(decisions).toHaveLength(3)
    })
  }
})

describe('what applications do around it', () => {
  for (const [name, make] of [
    ['Express 5', makers.express5],
    ['Express 4', makers.express4],
  ] as const) {
    test(`C-04 ${name}: an error handler that calls next() opens neither a guarded route nor an identity`, async () => {
      const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
      const app = make()
      app.use(forExpress.clientCert({ authenticator: auth }))
      app.use((_error: Error, _request: express.Request, _response: express.Response, next: express.NextFunction) =>
        next(),
      )
      app.get('/open', (request, response) => void response.json({ identity: request.clientIdentity ?? null }))
      app.get('/guarded', forExpress.requireClientCert(), (_request, response) => void response.json({}))
      app.get('/asks', (request, response) => void response.json(forExpress.clientIdentity(request)))
      const port = await serveHttps(auth, app as unknown as Listener)
      expect(json(await get(port, stranger, { path: '/open' }))).toEqual({ identity: null })
      expect((await get(port, stranger, { path: '/guarded' })).status).toBe(403)
      expect((await get(port, stranger, { path: '/asks' })).status).toBe(500)
    })

    test(`C-04 ${name}: sub-applications and routers see the identity of their parent, and guards work in them`, async () => {
      const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
      const [app, inner] = [make(), make()]
      inner.use(forExpress.requireClientCert(rules.commonName('alice')))
      inner.get(
        '/',
        (request, response) => void response.json({ cn: forExpress.clientIdentity(request).subject.get('CN') }),
      )
      app.use(forExpress.clientCert({ authenticator: auth }))
      app.use('/sub', inner)
      const port = await serveHttps(auth, app as unknown as Listener)
      expect(json(await get(port, alice, { path: '/sub' }))).toEqual({ cn: 'alice' })
      expect((await get(port, await pki.issue({ subject: 'CN=bob' }), { path: '/sub' })).status).toBe(403)
    })

    test(`C-04 ${name}: a route before the middleware has no identity, and none of the application’s is taken for one`, async () => {
      const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
      const app = make()
      app.get('/early', (request, response) => void response.json({ identity: request.clientIdentity ?? null }))
      app.get('/early-guarded', forExpress.requireClientCert(), (_request, response) => void response.json({}))
      app.use(forExpress.clientCert({ authenticator: auth }))
      const port = await serveHttps(auth, app as unknown as Listener)
      expect(json(await get(port, alice, { path: '/early' }))).toEqual({ identity: null })
      expect((await get(port, alice, { path: '/early-guarded' })).status).toBe(500)
    })

    test(`${name}: answers that arrive after the client has gone harm nobody`, async () => {
      const auth = createAuthenticator({
        trust: pki.trust,
        revocation: 'none',
        log: false,
        rules: rules.custom('slow', async () => {
          await new Promise((resolve) => setTimeout(resolve, 60))
          return true
        }),
      })
      const app = make()
      app.use(forExpress.clientCert({ authenticator: auth }))
      app.get('/', (_request, response) => void response.json({}))
      const port = await serveHttps(auth, app as unknown as Listener)
      const gone = get(port, alice, {}, { timeout: 20, signal: AbortSignal.timeout(30) })
      await expect(gone).rejects.toThrow()
      await new Promise((resolve) => setTimeout(resolve, 80))
      expect((await get(port, alice)).status).toBe(200)
    })
  }

  for (const [name, Make] of [
    ['Koa 3', makers.Koa3],
    ['Koa 2', makers.Koa2],
  ] as const) {
    test(`${name}: the error event fires with the refusal, so that applications can count them`, async () => {
      const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
      const app = new Make()
      const seen: unknown[] = []
      app.on('error', (error: { code?: string }) => seen.push(error.code))
      app.use(forKoa.clientCert({ authenticator: auth }))
      const port = await serveHttps(auth, app.callback() as Listener)
      expect((await get(port, stranger)).status).toBe(403)
      expect(seen).toEqual(['ERR_CLIENT_CERT_UNKNOWN_ISSUER'])
    })

    test(`${name}: what an application gives its contexts can be copied, and no other identity put into it`, async () => {
      const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
      const app = new Make()
      app.use(forKoa.clientCert({ authenticator: auth, mode: 'optional' }))
      app.use((context) => {
        context.body = { cn: context.clientIdentity?.subject.get('CN') ?? null }
      })
      const port = await serveHttps(auth, app.callback() as Listener)
      const asked = async () => [await get(port), await get(port, alice)].map((answer) => json(answer).cn)
      expect(await asked()).toEqual([null, 'alice'])
      const forged = { subject: { get: () => 'root' } }
      expect({ ...app.context }.clientIdentity).toBeUndefined()
      expect(() => Object.assign(app.context, { clientIdentity: forged })).toThrow('clientIdentity cannot be assigned')
      expect(() => Object.defineProperty(app.context, 'clientIdentity', { value: forged })).toThrow(TypeError)
      expect(await asked()).toEqual([null, 'alice'])
    })

    test(`${name}: header fields an application set before are gone, the challenge stays`, async () => {
      const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
      const app = new Make()
      app.silent = true
      app.use((context, next) => {
        context.set('X-Before', 'yes')
        return next()
      })
      app.use(forKoa.clientCert({ authenticator: auth }))
      const { headers } = await get(await serveHttps(auth, app.callback() as Listener))
      expect([headers['x-before'], headers['www-authenticate']]).toEqual([undefined, 'ClientCertificate'])
    })
  }
})

describe('options are refused at construction, by name', () => {
  const cases: [given: object, said: string][] = [
    [{ trsut: '' }, 'unknown option "trsut". Did you mean "trust"?'],
    [{ trust: '', modus: 'optional' }, 'unknown option "modus"'],
    [{ trust: '', mode: 'requird' }, 'Did you mean "required"?'],
    [{ trust: '', mode: 'off' }, 'unknown mode "off"'],
    [{ trust: '', skip: '/healthz' }, 'skip is a function of the request'],
    [{ trust: '', responses: { abset: 401 } }, 'Did you mean "absent"?'],
    [{ trust: '', responses: { absent: 200 } }, 'responses.absent is 200'],
    [{ trust: '', responses: { refused: 495 } }, 'responses.refused is 495'],
    [{ trust: '', responses: { refused: '403' } }, 'responses.refused is "403"'],
    [{ trust: '', responses: { exposeReason: 'yes' } }, 'exposeReason is true or false'],
    [{ authenticator: {} }, 'authenticator is not one'],
    [{ authenticator: undefined }, 'authenticator is not one'],
  ]
  for (const [entry, { clientCert, requireClientCert }] of Object.entries({ express: forExpress, koa: forKoa })) {
    for (const [given, said] of cases) {
      test(`${entry}: clientCert(${JSON.stringify(given)}): ${said}`, () => {
        const options = 'trust' in given ? { ...given, trust: pki.trust } : given
        expect(() => clientCert(options as never)).toThrow(said)
        expect(() => clientCert(options as never)).toThrow(ClientCertConfigError)
      })
    }

    test(`${entry}: clientCert() without options, and with null`, () => {
      for (const options of [undefined, null, 'ca.pem'])
        expect(() => clientCert(options as never)).toThrow(ClientCertConfigError)
    })

    test(`${entry}: clientCert() with an authenticator or a request in the place of options`, () => {
      const { auth } = make()
      expect(() => clientCert(auth as never)).toThrow('got an authenticator — clientCert({ authenticator })')
      expect(() => clientCert(new IncomingMessage(new Socket()) as never)).toThrow('not app.use(clientCert)')
      expect(() => clientCert({ req: {}, headers: {} } as never)).toThrow('not app.use(clientCert)')
    })

    test(`${entry}: requireClientCert takes rules and options it knows only`, () => {
      const wrong: unknown[][] = [
        [() => true],
        [{}],
        [null],
        [undefined],
        ['alice'],
        [undefined, { authenticater: 1 }],
        [undefined, { authenticator: undefined }],
        [undefined, { authenticator: 'auth' }],
        [undefined, { authenticator: null }],
        [undefined, { authenticator: {} }],
      ]
      for (const args of wrong) {
        expect(() => requireClientCert(...(args as []))).toThrow(ClientCertConfigError)
      }
      expect(() => requireClientCert(undefined, { authenticater: 1 } as never)).toThrow('Did you mean "authenticator"?')
    })
  }
})

describe('middleware of the other framework refuses, and says whose it is', () => {
  const entries = ['clientCert', 'requireClientCert'] as const
  for (const name of entries) {
    test(`${name} of Express in Koa, which does not end the process`, async () => {
      const { auth } = make()
      const said: unknown[] = []
      const app = new makers.Koa3()
      app.on('error', (error) => said.push(error))
      app.use(
        (name === 'clientCert'
          ? forExpress.clientCert({ authenticator: auth })
          : forExpress.requireClientCert()) as never,
      )
      app.use((context) => {
        context.body = 'open'
      })
      expect((await get(await serveHttps(auth, app.callback() as Listener), alice)).status).toBe(500)
      expect(said).toEqual([expect.any(ClientCertConfigError)])
      expect(String(said[0])).toContain(
        `${name}: this is middleware for Express, and something else called it — for Koa: import { ${name} } from 'mtls-identity/koa'`,
      )
    })

    test(`${name} of Koa in Express`, async () => {
      const { auth } = make()
      const said: unknown[] = []
      const app = makers.express5()
      app.use(
        (name === 'clientCert' ? forKoa.clientCert({ authenticator: auth }) : forKoa.requireClientCert()) as never,
      )
      app.use((_: unknown, response: express.Response) => void response.send('open'))
      app.use(((error, _, response, __) => {
        said.push(error)
        response.status(error.status).end()
      }) as express.ErrorRequestHandler)
      expect((await get(await serveHttps(auth, app as unknown as Listener), alice)).status).toBe(500)
      expect(String(said[0])).toContain(
        `${name}: this is middleware for Koa, and something else called it — for Express: import { ${name} } from 'mtls-identity/express'`,
      )
    })
  }
})

test('O-07: a request whose socket is gone is refused, and the promise does not reject', async () => {
  const { auth } = make()
  const decisions: Decision[] = []
  let done: (() => void) | undefined
  const finished = new Promise<void>((resolve) => {
    done = resolve
  })
  const listener = (async (request: IncomingMessage) => {
    request.socket.destroy()
    await new Promise((resolve) => setTimeout(resolve, 20))
    decisions.push(await auth.authenticate(request))
    done?.()
  }) as unknown as Listener
  await expect(get(await serveHttps(auth, listener), alice)).rejects.toThrow()
  await finished
  expect(decisions[0]?.outcome).not.toBe('accepted')
})

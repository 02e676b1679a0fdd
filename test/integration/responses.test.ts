/** What a refused client gets to read, who may answer instead, and what preflights get: Express 5 and 4, Koa 3 and 2. */
import type { ServerResponse } from 'node:http'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import type express from 'express'
import type { Context } from 'koa'
import * as forExpress from '../../src/express.js'
import {
  type AuditEvent,
  type AuthenticatorOptions,
  createAuthenticator,
  type Decision,
  isClientCertError,
  rules,
} from '../../src/index.js'
import * as forKoa from '../../src/koa.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { type Answer, get, json } from '../support/clients.js'
import {
  type Framework,
  frameworks,
  type Listener,
  type MountPlan,
  makers,
  type Plan,
  serveHttps,
  who,
} from '../support/servers.js'

let pki: TestPki
let alice: TestCredential
let stranger: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue({ subject: 'CN=alice' })
  stranger = await (await createTestPki({ name: 'Other' })).issue({ subject: 'CN=mallory' })
})

const make = (options: Partial<AuthenticatorOptions> = {}) =>
  createAuthenticator({ trust: pki.trust, revocation: 'none', log: false, ...options })

async function serve({ listener }: Framework, mount: Omit<MountPlan, 'trust'> = {}, plan: Plan = {}) {
  const auth = make()
  const mounts = [{ authenticator: auth, ...mount } as MountPlan]
  const port = await serveHttps(auth, listener({ mounts, ...plan }))
  return (client?: TestCredential, call = {}) => get(port, client, call)
}

const seen = ({ status, headers, body }: Answer) => {
  const { date: _, connection: __, 'keep-alive': ___, ...fields } = headers
  return { status, headers: fields, body }
}

const required = JSON.stringify({
  type: 'urn:problem-type:client-certificate-required',
  title: 'client certificate required',
  status: 401,
})
const refused = JSON.stringify({
  type: 'urn:problem-type:client-certificate-refused',
  title: 'client certificate refused',
  status: 403,
})

for (const framework of frameworks) {
  describe(framework.name, () => {
    describe('RFC 9457: without an error handler of the application, the answer is problem details', () => {
      test('401 with the challenge', async () => {
        const ask = await serve(framework)
        expect(seen(await ask())).toEqual({
          status: 401,
          body: required,
          headers: {
            'cache-control': 'no-store',
            'content-length': String(required.length),
            'content-type': 'application/problem+json',
            'www-authenticate': 'ClientCertificate',
            'x-content-type-options': 'nosniff',
          },
        })
      })

      test('O-04: the same for an unknown issuer, an expired one, a rule and a principal that is nobody', async () => {
        const expired = await pki.issue({ notAfter: new Date(Date.now() - 1000) })
        const plans: [TestCredential, Plan, Partial<AuthenticatorOptions>][] = [
          [stranger, {}, {}],
          [expired, {}, {}],
          [alice, {}, { rules: rules.commonName('bob') }],
          [alice, { guards: [[rules.commonName('bob')]] }, {}],
          [alice, {}, { resolve: () => undefined }],
          [alice, {}, { revocation: { name: 'all', check: () => ({ status: 'revoked', depth: 0 }) } }],
        ]
        for (const [client, plan, options] of plans) {
          const auth = make(options)
          const port = await serveHttps(auth, framework.listener({ mounts: [{ authenticator: auth }], ...plan }))
          expect(seen(await get(port, client))).toEqual({
            status: 403,
            body: refused,
            headers: {
              'cache-control': 'no-store',
              'content-length': String(refused.length),
              'content-type': 'application/problem+json',
              'x-content-type-options': 'nosniff',
            },
          })
        }
      })

      test('O-04: with what the application calls the request, in the answer, the line and the event, and nowhere else', async () => {
        const lines: string[] = []
        const events: AuditEvent[] = []
        const auth = make({
          log: (line) => lines.push(line),
          onDecision: (_, { audit }) => events.push(audit),
          requestId: ({ id, headers }) => id ?? headers['x-request-id'],
        })
        const plan = { mounts: [{ authenticator: auth }], guards: [[rules.commonName('bob')]] } as Plan
        const port = await serveHttps(auth, framework.listener(plan))
        const call = (client: TestCredential | undefined, id: string) =>
          get(port, client, { headers: { 'x-request-id': id } })
        const hostile = 'x\u001b[2J"\u00a0'.padEnd(600, 'y')
        for (const [client, body, id] of [
          [undefined, required, 'a-1'],
          [stranger, refused, 'b-2'],
          [alice, refused, 'c-3'],
          [stranger, refused, hostile],
        ] as const) {
          const answer = await call(client, id === hostile ? encodeURI(id) : id)
          expect(answer.body).toBe(body.replace('}', `,"requestId":${JSON.stringify(events.at(-1)?.requestId)}}`))
          expect(lines.at(-1)).toMatch(`(request ${events.at(-1)?.requestId})`)
        }
        expect(events.map(({ outcome, requestId }) => `${outcome} ${requestId?.slice(0, 9)}`)).toEqual([
          'absent a-1',
          'refused b-2',
          'accepted c-3',
          'refused c-3',
          'refused x%1B%5B2J',
        ])
        expect(lines.map((line) => line.length < 500)).toEqual([true, true, true, true])
        expect(seen(await get(port, stranger)).body).toBe(refused)
        expect(lines.at(-1)).not.toMatch('(request')
      })

      test('O-04: a requestId that makes a name up makes one for each request: the client and the operator have the same', async () => {
        const said: (string | undefined)[] = []
        let made = 0
        const auth = make({
          log: (line) => said.push(/request (\d+)/.exec(line)?.[1]),
          onDecision: (_, { audit }) => said.push(audit.requestId),
          requestId: () => ++made,
        })
        const port = await serveHttps(auth, framework.listener({ mounts: [{ authenticator: auth }] }))
        for (const name of ['1', '2']) {
          expect(json(await get(port, stranger)).requestId).toBe(name)
          expect(said.splice(0)).toEqual([name, name])
        }
      })

      test('C-05: a requestId and a skip that return a promise name and skip nothing, and what it rejects with is nobody else’s', async () => {
        const unhandled = jest.fn()
        process.on('unhandledRejection', unhandled)
        try {
          const rejects = () => Promise.reject(new Error('broken')) as never
          const auth = make({ requestId: rejects, log: () => {} })
          const port = await serveHttps(auth, framework.listener({ mounts: [{ authenticator: auth, skip: rejects }] }))
          expect((await get(port)).body).toBe(required)
          expect((await get(port, stranger)).body).toBe(refused)
          expect((await get(port, alice)).status).toBe(200)
          await new Promise((resolve) => setTimeout(resolve, 5))
          expect(unhandled).not.toHaveBeenCalled()
        } finally {
          process.off('unhandledRejection', unhandled)
        }
      })

      test('503 says when to come back', async () => {
        const auth = make({ revocation: { name: 'off', check: () => ({ status: 'unknown', reason: 'offline' }) } })
        const port = await serveHttps(auth, framework.listener({ mounts: [{ authenticator: auth }] }))
        const answer = await get(port, alice)
        expect([answer.status, answer.headers['retry-after'], answer.headers['cache-control']]).toEqual([
          503,
          '5',
          'no-store',
        ])
        expect(json(answer)).toEqual({
          type: 'urn:problem-type:client-certificate-unchecked',
          title: 'client certificate could not be checked',
          status: 503,
        })
      })

      test('with the code where exposeReason says so, and no more than the code', async () => {
        const ask = await serve(framework, { responses: { exposeReason: true, refused: 404 } })
        expect(json(await ask(stranger))).toEqual({
          type: 'urn:problem-type:client-certificate-refused',
          title: 'client certificate refused',
          status: 404,
          code: 'ERR_CLIENT_CERT_UNKNOWN_ISSUER',
        })
      })

      test('HEAD has no body', async () => {
        const ask = await serve(framework)
        const answer = await ask(undefined, { method: 'HEAD' })
        expect([answer.status, answer.body, answer.headers['content-length']]).toEqual([
          401,
          '',
          String(required.length),
        ])
      })

      test('what the application said before is gone, but for CORS and Vary', async () => {
        const before: Plan['before'] = (carrier) => {
          const response = (carrier.res ?? carrier) as ServerResponse
          response.setHeader('ETag', '"1"')
          response.setHeader('Cache-Control', 'public')
          response.setHeader('Access-Control-Allow-Origin', 'https://app.test')
          response.setHeader('Vary', 'Origin')
        }
        const { headers } = await (await serve(framework, {}, { before }))()
        expect([headers.etag, headers['cache-control'], headers['access-control-allow-origin'], headers.vary]).toEqual([
          undefined,
          'no-store',
          'https://app.test',
          'Origin',
        ])
      })

      test('with an error handler of the application, it decides', async () => {
        const onError: Plan['onError'] = (error) => ({
          status: 418,
          body: { code: error.code, ours: isClientCertError(error) },
        })
        const ask = await serve(framework, {}, { onError })
        const answer = await ask()
        expect([answer.status, json(answer)]).toEqual([418, { code: 'ERR_CLIENT_CERT_ABSENT', ours: true }])
      })
    })

    describe('onDenied', () => {
      type Io = { request: express.Request; response: express.Response } & Context
      const answering = (act: (decision: Decision, io: Io) => unknown) =>
        jest.fn((decision: Decision, context: unknown) => act(decision, context as Io) as undefined)
      const text = (io: Io, body: string) => {
        if (framework.isKoa) io.body = body
        else io.response.send(body)
      }

      test('answers in place of the framework, with status and header fields set, for the mount and its guards', async () => {
        const onDenied = answering((decision, io) => text(io, `denied ${decision.outcome} ${decision.enforced}`))
        const handler = jest.fn(who)
        const ask = await serve(framework, { onDenied }, { guards: [[rules.commonName('bob')]], handler })
        const absent = await ask()
        expect([absent.status, absent.body, absent.headers['www-authenticate']]).toEqual([
          401,
          'denied absent true',
          'ClientCertificate',
        ])
        const guarded = await ask(alice)
        expect([guarded.status, guarded.body, guarded.headers['cache-control']]).toEqual([
          403,
          'denied refused true',
          'no-store',
        ])
        expect(handler).not.toHaveBeenCalled()
        const [[decision] = []] = onDenied.mock.calls.slice(1)
        expect(decision?.rules).toMatchObject({ rule: 'commonName("bob")', holds: false })
      })

      test('may take its time', async () => {
        const onDenied = answering(async (_, io) => {
          await new Promise((resolve) => setTimeout(resolve, 10))
          text(io, 'late')
        })
        const answer = await (await serve(framework, { onDenied }))()
        expect([answer.status, answer.body]).toEqual([401, 'late'])
      })

      test('that answers nothing leaves the default answer', async () => {
        const answer = await (await serve(framework, { onDenied: answering(() => {}) }))()
        expect([answer.status, answer.body]).toEqual([401, required])
      })

      test('C-05: that throws or rejects refuses all the same', async () => {
        const failures = [
          answering(() => {
            throw new Error('broken')
          }),
          answering(async () => Promise.reject(new Error('broken'))),
        ]
        for (const onDenied of failures) {
          const handler = jest.fn(who)
          const answer = await (await serve(framework, { onDenied }, { handler }))(stranger)
          expect(answer.status).toBeGreaterThanOrEqual(400)
          expect(handler).not.toHaveBeenCalled()
        }
      })

      test('C-05: that throws what is no error, or what Express takes for "go on", refuses all the same', async () => {
        for (const thrown of [undefined, null, false, 0, '', 'route', 'router', 'broken']) {
          for (const onDenied of [
            answering(() => {
              throw thrown
            }),
            answering(() => Promise.reject(thrown)),
          ]) {
            const handler = jest.fn(who)
            for (const plan of [{ handler }, { handler, guards: [[rules.commonName('bob')]] } as Plan]) {
              const ask = await serve(framework, { onDenied }, plan)
              const { status } = await ask(plan.guards === undefined ? stranger : alice)
              expect(status).toBeGreaterThanOrEqual(400)
            }
            expect(handler).not.toHaveBeenCalled()
          }
        }
      })

      test('is not asked about mistakes of the application, nor where nobody is refused', async () => {
        const onDenied = answering(() => {})
        const ask = await serve(framework, { onDenied, mode: 'report-only' }, { guards: [[rules.commonName('bob')]] })
        expect([(await ask()).status, (await ask(alice)).status]).toEqual([200, 200])
        const skipping = await serve(framework, { onDenied, skip: () => true }, { guards: [[]] })
        expect((await skipping(alice)).status).toBe(500)
        expect(onDenied).not.toHaveBeenCalled()
      })
    })

    describe('C-04: a CORS preflight', () => {
      const preflight = {
        method: 'OPTIONS',
        headers: { origin: 'https://app.test', 'access-control-request-method': 'PUT' },
      }

      test('is refused, unless it is said otherwise', async () => {
        const handler = jest.fn(who)
        const answer = await (await serve(framework, {}, { handler }))(undefined, preflight)
        expect(answer.status).toBe(401)
        expect(handler).not.toHaveBeenCalled()
      })

      test('preflight: answer ends it with what was said before, and reaches no handler', async () => {
        const handler = jest.fn(who)
        const before: Plan['before'] = (carrier) => {
          const response = (carrier.res ?? carrier) as ServerResponse
          response.setHeader('Access-Control-Allow-Origin', 'https://app.test')
        }
        const ask = await serve(framework, { preflight: 'answer' }, { handler, before })
        for (const client of [undefined, alice, stranger]) {
          const answer = await ask(client, preflight)
          expect([answer.status, answer.body, answer.headers['access-control-allow-origin']]).toEqual([
            204,
            '',
            'https://app.test',
          ])
        }
        expect(handler).not.toHaveBeenCalled()
      })

      test.each<[string, object]>([
        ['another method', { ...preflight, method: 'PUT' }],
        ['no Origin', { method: 'OPTIONS', headers: { 'access-control-request-method': 'PUT' } }],
        ['no Access-Control-Request-Method', { method: 'OPTIONS', headers: { origin: 'https://app.test' } }],
        [
          'the method in a header',
          { method: 'POST', headers: { ...preflight.headers, 'x-http-method-override': 'OPTIONS' } },
        ],
      ])('%s is no preflight', async (_, call) => {
        const ask = await serve(framework, { preflight: 'answer' })
        expect((await ask(undefined, call)).status).toBe(401)
      })
    })
  })
}

describe('where the error handlers of Express are', () => {
  const handled: express.ErrorRequestHandler = (_error, _request, response, _next) => void response.status(418).end()
  for (const [name, maker] of [
    ['Express 5', makers.express5],
    ['Express 4', makers.express4],
  ] as const) {
    const cases: [string, (app: express.Express, auth: express.RequestHandler) => express.Express, number][] = [
      ['none', (app, auth) => app.use(auth), 401],
      ['in the application', (app, auth) => app.use(auth).use(handled), 418],
      ['in an application it is mounted in', (app, auth) => maker().use('/', app.use(auth)).use(handled), 418],
      ['in the router of the mount', (app, auth) => app.use(maker.Router().use(auth).use(handled)), 418],
      ['around the router of the mount', (app, auth) => app.use(maker.Router().use(auth)).use(handled), 418],
      ['at the route', (app, auth) => app.get('/', auth, handled as unknown as express.RequestHandler), 418],
      [
        'after one that passes on',
        (app, auth) =>
          app
            .use(auth)
            .use(((error, _q, _s, next) => next(error)) as express.ErrorRequestHandler)
            .use(handled),
        418,
      ],
    ]
    test.each(cases)(`${name}: %s`, async (_, build, status) => {
      const auth = make()
      const app = build(maker(), forExpress.clientCert({ authenticator: auth }) as express.RequestHandler)
      expect((await get(await serveHttps(auth, app as unknown as Listener))).status).toBe(status)
    })
  }
})

test.each([
  ['Koa 3', makers.Koa3],
  ['Koa 2', makers.Koa2],
] as const)('%s: an onerror of the application’s own answers, and the error event still fires', async (_, Make) => {
  const auth = make()
  const app = new Make()
  app.use(forKoa.clientCert({ authenticator: auth }))
  const events: unknown[] = []
  app.on('error', (error: { code?: string }) => events.push(error.code))
  const port = await serveHttps(auth, app.callback() as Listener)
  expect((await get(port)).headers['content-type']).toBe('application/problem+json')
  expect(events).toEqual(['ERR_CLIENT_CERT_ABSENT'])

  const own = new Make()
  own.context.onerror = function (this: Context) {
    this.res.statusCode = 418
    this.res.end('own')
  } as never
  own.use(forKoa.clientCert({ authenticator: auth }))
  expect((await get(await serveHttps(auth, own.callback() as Listener))).status).toBe(418)
})

describe('options', () => {
  test.each<[object, string]>([
    [{ preflight: 'allow' }, "preflight is \"allow\", expected 'refuse' or 'answer'"],
    [{ preflight: true }, 'preflight is true'],
    [{ onDenied: {} }, 'onDenied is a function, got object'],
  ])('%j is refused at construction', (given, says) => {
    for (const { clientCert } of [forExpress, forKoa]) {
      expect(() => clientCert({ authenticator: make(), ...given } as never)).toThrow(says)
    }
  })
})

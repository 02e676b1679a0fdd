/** Rate limits by identity with the limiters people use: express-rate-limit, koa-ratelimit, rate-limiter-flexible, the latter two also on Redis. */
import { createRequire } from 'node:module'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type express from 'express'
import { rateLimit } from 'express-rate-limit'
import { Redis } from 'ioredis'
import type Koa from 'koa'
import { RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible'
import * as forExpress from '../../src/express.js'
import { type Authenticator, createAuthenticator } from '../../src/index.js'
import * as forKoa from '../../src/koa.js'
import { addressKey, rateLimitKey } from '../../src/rate-limit.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { get } from '../support/clients.js'
import { type RunningRedis, redisProgram, startRedis } from '../support/redis.js'
import { afterThisTest, type Listener, makers, serveHttps } from '../support/servers.js'

interface KoaRateLimitOptions {
  driver: 'memory' | 'redis'
  db: unknown
  max: number
  namespace?: string
  id: (context: Koa.Context) => string | false
}
// It brings no types.
const ratelimit = createRequire(import.meta.url)('koa-ratelimit') as (options: KoaRateLimitOptions) => Koa.Middleware

const hasRedis = redisProgram() !== undefined
const missing = hasRedis ? '' : ' (redis-server is missing)'
const withRedis = hasRedis ? test : test.skip

const limit = 3
const email = (name: string) => ({ subject: `CN=${name}`, names: { email: [`${name}@acme.test`] } })

let pki: TestPki
let alice: TestCredential
let renewed: TestCredential
let bob: TestCredential
let stranger: TestCredential
let authenticator: Authenticator
let redis: RunningRedis | undefined
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue(email('alice'))
  renewed = await pki.issue(email('alice'))
  bob = await pki.issue(email('bob'))
  stranger = await (await createTestPki({ name: 'Other' })).issue(email('alice'))
  authenticator = createAuthenticator({ trust: pki.trust, revocation: 'none', principalFrom: 'email', log: false })
  if (hasRedis) redis = await startRedis()
})
afterAll(() => redis?.stop())

async function connected(): Promise<Redis> {
  const client = new Redis(redis?.path ?? '', {
    lazyConnect: true,
    enableOfflineQueue: false,
    retryStrategy: () => null,
  })
  client.on('error', () => {})
  await client.connect()
  afterThisTest(() => client.disconnect())
  return client
}

/** How a limiter that stands behind `clientCert()` is put into an application; `prefix` keeps the tests apart. */
type Limited = (prefix: string, keyOf: (carrier: never) => string) => Promise<Listener>

function inExpress(make: typeof express, limiter: express.RequestHandler): Listener {
  const app = make()
  app.use(forExpress.clientCert({ authenticator, mode: 'optional' }), limiter)
  app.get('/', (_request, response) => void response.json({}))
  return app as unknown as Listener
}

function inKoa(Make: typeof Koa, limiter: Koa.Middleware): Listener {
  const app = new Make()
  app.silent = true
  app.use(forKoa.clientCert({ authenticator, mode: 'optional' })).use(limiter)
  app.use((context) => {
    context.body = {}
  })
  return app.callback() as Listener
}

type Flexible = RateLimiterMemory | RateLimiterRedis
const consuming = (limiter: Flexible, keyOf: (carrier: never) => string) => async (carrier: unknown) => {
  try {
    await limiter.consume(keyOf(carrier as never))
    return true
  } catch (rejected) {
    if (rejected instanceof Error) throw rejected
    return false
  }
}

const flexibleInExpress = (make: typeof express, limiter: Flexible, keyOf: (carrier: never) => string) => {
  const consume = consuming(limiter, keyOf)
  return inExpress(make, (request, response, next) => {
    consume(request).then((passes) => (passes ? next() : void response.status(429).end()), next)
  })
}

const flexibleInKoa = (Make: typeof Koa, limiter: Flexible, keyOf: (carrier: never) => string) => {
  const consume = consuming(limiter, keyOf)
  return inKoa(Make, async (context, next) => {
    if (!(await consume(context))) context.throw(429)
    return next()
  })
}

const { express5, express4, Koa3, Koa2 } = makers
const points = { points: limit, duration: 60 }
const flexibleOnRedis = async (keyPrefix: string) =>
  new RateLimiterRedis({ storeClient: await connected(), keyPrefix, ...points })

const inMemory: [string, Limited][] = [
  [
    'express-rate-limit in Express 5',
    async (_, keyGenerator) =>
      inExpress(express5, rateLimit({ limit, windowMs: 60_000, keyGenerator: keyGenerator as never })),
  ],
  [
    'express-rate-limit in Express 4',
    async (_, keyGenerator) =>
      inExpress(express4, rateLimit({ limit, windowMs: 60_000, keyGenerator: keyGenerator as never })),
  ],
  [
    'koa-ratelimit in Koa 3',
    async (_, id) => inKoa(Koa3, ratelimit({ driver: 'memory', db: new Map(), max: limit, id: id as never })),
  ],
  [
    'koa-ratelimit in Koa 2',
    async (_, id) => inKoa(Koa2, ratelimit({ driver: 'memory', db: new Map(), max: limit, id: id as never })),
  ],
  [
    'rate-limiter-flexible in Express 5',
    async (_, keyOf) => flexibleInExpress(express5, new RateLimiterMemory(points), keyOf),
  ],
  ['rate-limiter-flexible in Koa 3', async (_, keyOf) => flexibleInKoa(Koa3, new RateLimiterMemory(points), keyOf)],
]
const onRedis: [string, Limited][] = [
  [
    'koa-ratelimit in Koa 3',
    async (namespace, id) =>
      inKoa(Koa3, ratelimit({ driver: 'redis', db: await connected(), max: limit, namespace, id: id as never })),
  ],
  [
    'rate-limiter-flexible in Express 5',
    async (prefix, keyOf) => flexibleInExpress(express5, await flexibleOnRedis(prefix), keyOf),
  ],
  [
    'rate-limiter-flexible in Koa 3',
    async (prefix, keyOf) => flexibleInKoa(Koa3, await flexibleOnRedis(prefix), keyOf),
  ],
]

/** How many of some requests pass; all others have to be answered with 429. */
async function passing(port: number, times: number, client?: TestCredential): Promise<number> {
  let passed = 0
  for (let i = 0; i < times; i++) {
    const { status } = await get(port, client)
    if (status === 200) passed++
    else expect(status).toBe(429)
  }
  return passed
}

const serve = async (listener: Listener) => serveHttps(authenticator, listener)

/** Who spends whose limit. Each test has keys of its own. */
function limits(prefix: string, limited: Limited, run: typeof test.skip) {
  run('a client spends its own limit: not another’s, nor that of clients without a certificate', async () => {
    const port = await serve(await limited(`${prefix}:own`, rateLimitKey('principal')))
    expect(await passing(port, limit + 2, alice)).toBe(limit)
    expect(await passing(port, limit, bob)).toBe(limit)
    expect(await passing(port, limit + 1)).toBe(limit)
    expect(await passing(port, 1, alice)).toBe(0)
  })

  run('a renewed certificate is no new limit by principal, and is one by fingerprint', async () => {
    const byPrincipal = await serve(await limited(`${prefix}:principal`, rateLimitKey('principal')))
    expect(await passing(byPrincipal, limit, alice)).toBe(limit)
    expect(await passing(byPrincipal, limit, renewed)).toBe(0)
    const byFingerprint = await serve(await limited(`${prefix}:fingerprint`, rateLimitKey('fingerprint')))
    expect(await passing(byFingerprint, limit, alice)).toBe(limit)
    expect(await passing(byFingerprint, limit, renewed)).toBe(limit)
  })

  run('the clients of one CA share a limit by issuer', async () => {
    const port = await serve(await limited(`${prefix}:issuer`, rateLimitKey('issuer')))
    expect(await passing(port, 2, alice)).toBe(2)
    expect(await passing(port, limit, bob)).toBe(limit - 2)
    expect(await passing(port, 1)).toBe(1)
  })
}

describe.each(inMemory)('%s', (name, limited) => limits(name, limited, test))

describe.each(onRedis)(`%s, on Redis${missing}`, (name, limited) => {
  limits(name, limited, withRedis)

  withRedis('two servers have one limit, and what is in Redis names nobody', async () => {
    const prefix = `${name} shared`.replaceAll(' ', '-')
    const keyOf = rateLimitKey('principal')
    const ports = [
      await serve(await limited(prefix, keyOf)),
      await serve(await limited(prefix, rateLimitKey('principal'))),
    ]
    expect(await passing(ports[0] as number, 2, alice)).toBe(2)
    expect(await passing(ports[1] as number, 2, alice)).toBe(limit - 2)
    await passing(ports[0] as number, 1)
    const stored = (await (await connected()).keys(`${prefix}*`)).map((key) => key.slice(prefix.length + 1)).sort()
    expect(stored).toEqual(['address:127.0.0.1', expect.stringMatching(/^principal:[0-9a-f]{64}$/)])
  })
})

describe(`Redis that is gone${missing}`, () => {
  withRedis('lets nobody pass: 500, and not 429', async () => {
    const own = await startRedis()
    const client = new Redis(own.path, { enableOfflineQueue: false, retryStrategy: () => null })
    client.on('error', () => {})
    afterThisTest(() => client.disconnect())
    await new Promise((resolve) => client.once('ready', resolve))
    const limiter = new RateLimiterRedis({ storeClient: client, ...points })
    const port = await serve(flexibleInKoa(Koa3, limiter, rateLimitKey('principal')))
    expect((await get(port, alice)).status).toBe(200)
    await own.stop()
    expect((await get(port, alice)).status).toBe(500)
  })
})

describe('a limit of refusals, before clientCert()', () => {
  test('stops who is refused again and again by address, and counts nobody who is accepted', async () => {
    const app = express5()
    app.use(rateLimit({ limit, windowMs: 60_000, keyGenerator: addressKey(), skipSuccessfulRequests: true }))
    app.use(forExpress.clientCert({ authenticator }))
    app.get('/', (_request, response) => void response.json({}))
    const port = await serve(app as unknown as Listener)
    const statuses = async (times: number, client: TestCredential, localAddress: string) => {
      const seen: number[] = []
      for (let i = 0; i < times; i++) seen.push((await get(port, client, {}, { localAddress })).status)
      return seen
    }
    expect(await statuses(limit * 3, alice, '127.0.0.3')).toEqual(Array(limit * 3).fill(200))
    expect(await statuses(limit + 2, stranger, '127.0.0.2')).toEqual([403, 403, 403, 429, 429])
    expect(await statuses(1, alice, '127.0.0.2')).toEqual([429])
    expect(await statuses(1, alice, '127.0.0.3')).toEqual([200])
  })
})

test('a limiter before clientCert() that counts identities is a 500, and the handler is not reached', async () => {
  const app = express5()
  let handled = 0
  app.use(rateLimit({ limit, keyGenerator: rateLimitKey('principal') }))
  app.use(forExpress.clientCert({ authenticator }))
  app.get('/', (_request, response) => {
    handled++
    response.json({})
  })
  expect([(await get(await serve(app as unknown as Listener), alice)).status, handled]).toEqual([500, 0])
})

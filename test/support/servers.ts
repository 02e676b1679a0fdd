/** Servers for tests: on loopback only, over real sockets, gone after each test. */
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import { createRequire } from 'node:module'
import type net from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SecureContextOptions, TlsOptions } from 'node:tls'
import { afterAll, afterEach, beforeAll, jest } from '@jest/globals'
import express from 'express'
import Koa from 'koa'
import * as forExpress from '../../src/express.js'
import {
  type AnyRequest,
  type Authenticator,
  type AuthenticatorOptions,
  type ClientIdentity,
  type Decision,
  type MountOptions,
  type Rule,
  tlsServerOptions,
} from '../../src/index.js'
import * as forKoa from '../../src/koa.js'
import { createTestPki } from '../../src/testing.js'

const require = createRequire(import.meta.url)
const express4 = require('express-4') as typeof express
const Koa2 = require('koa-2') as typeof Koa

// Express prints every error its default handler answers.
beforeAll(() => {
  jest.spyOn(console, 'error').mockImplementation(() => {})
})

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()))
})

/** Listens on loopback until the test ends, and cuts every connection then. */
export async function listen(server: net.Server, at: string = '127.0.0.1', port = 0): Promise<number> {
  const connections = new Set<net.Socket>()
  server.on('connection', (socket: net.Socket) => {
    connections.add(socket)
    socket.on('close', () => connections.delete(socket))
    socket.on('error', () => {})
  })
  closing.push(async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    if ('closeAllConnections' in server) (server as http.Server).closeAllConnections()
    for (const socket of connections) socket.destroy()
    await closed
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    if (at.startsWith('/')) server.listen(at, resolve)
    else server.listen(port, at, resolve)
  })
  return at.startsWith('/') ? 0 : (server.address() as AddressInfo).port
}

/** Runs before the servers of this test are closed. */
export function afterThisTest(close: () => unknown): void {
  closing.push(async () => close())
}

export const folder = mkdtempSync(join(tmpdir(), 'mtls-identity-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

export type Listener = (request: never, response: never) => void

/** The server's own certificate: its issuer plays no part. */
export const serverTls: Promise<{ key: string; cert: string }> = createTestPki({ name: 'Server' }).then(
  async (pki) => (await pki.server()).tls,
)

type Extra = TlsOptions & SecureContextOptions

/** An https server as this package wants it. */
export async function serveHttps(auth: Authenticator, listener: Listener, extra: Extra = {}, host?: string) {
  const server = https.createServer(tlsServerOptions(auth, { ...(await serverTls), ...extra }), listener as never)
  return listen(server, host)
}

/** An https server an application made itself. */
export async function serveOwnHttps(listener: Listener, options: Extra) {
  return listen(https.createServer({ ...(await serverTls), ...options }, listener as never))
}

export async function serveHttp2(
  auth: Authenticator,
  listener: Listener,
  extra: Extra & { allowHTTP1?: boolean } = {},
) {
  const options = tlsServerOptions(auth, { ...(await serverTls), ...extra })
  return listen(http2.createSecureServer(options, listener as never))
}

export async function serveHttp(listener: Listener, at?: string, options: http.ServerOptions = {}) {
  return listen(http.createServer(options, listener as never), at)
}

type Guard = [rule?: Rule | undefined, options?: { authenticator?: Authenticator }]

/** What a handler gets to see, in any framework. */
export interface Seen {
  request: AnyRequest
  /** `req.clientIdentity`, `ctx.clientIdentity`. */
  property: ClientIdentity | undefined
  /** `clientIdentity(req)`, `clientIdentity(ctx)`. */
  identity(): ClientIdentity
  /** The request of Express, the context of Koa. */
  carrier: Record<string, unknown>
}

/** Options of a mount in any framework. */
export type MountPlan = (AuthenticatorOptions | { authenticator: Authenticator }) &
  Omit<MountOptions, 'onDenied'> & { onDenied?: (decision: Decision, context: unknown) => void | Promise<void> }

export interface Plan {
  /** Before everything else. */
  before?: (carrier: Record<string, unknown>, request: AnyRequest) => void
  mounts?: readonly MountPlan[]
  guards?: readonly Guard[]
  handler?: (seen: Seen) => unknown
  /** The application's own error handler; without it the framework's default answers. */
  onError?: (error: Error & { code?: string; status?: number }) => { status: number; body: unknown }
  env?: 'production' | 'development'
}

export interface Framework {
  readonly name: string
  readonly isKoa: boolean
  /** Builds the application; `errors` collects what its error handlers or its error event saw. */
  listener(plan: Plan): Listener
}

export const who = ({ property }: Seen): unknown => ({ cn: property?.subject.get('CN') ?? null })

function expressApp(make: typeof express): Framework['listener'] {
  return ({ before, mounts = [], guards = [], handler = who, onError, env = 'production' }) => {
    const app = make()
    app.set('env', env)
    if (before !== undefined) {
      app.use((request, _response, next) => {
        before(request as never, request)
        next()
      })
    }
    for (const options of mounts) app.use(forExpress.clientCert(options))
    for (const guard of guards) app.use(forExpress.requireClientCert(...guard))
    app.use((request, response, next) => {
      const seen: Seen = {
        request,
        property: request.clientIdentity,
        identity: () => forExpress.clientIdentity(request),
        carrier: request as never,
      }
      const result = handler(seen)
      // Express 4 does not wait for promises: an application does.
      if (result instanceof Promise) result.then((body) => response.json(body), next)
      else response.json(result)
    })
    if (onError !== undefined) {
      app.use((error: Error, _request: express.Request, response: express.Response, _next: express.NextFunction) => {
        const { status, body } = onError(error)
        response.status(status).json(body)
      })
    }
    return app as unknown as Listener
  }
}

function koaApp(Make: typeof Koa): Framework['listener'] {
  return ({ before, mounts = [], guards = [], handler = who, onError }) => {
    const app = new Make()
    app.silent = true
    if (onError !== undefined) {
      app.use(async (context, next) => {
        try {
          await next()
        } catch (error) {
          const { status, body } = onError(error as Error)
          context.status = status
          context.body = body as object
        }
      })
    }
    if (before !== undefined) {
      app.use((context, next) => {
        before(context as never, context.req)
        return next()
      })
    }
    for (const options of mounts) app.use(forKoa.clientCert(options))
    for (const guard of guards) app.use(forKoa.requireClientCert(...guard))
    app.use(async (context) => {
      const seen: Seen = {
        request: context.req,
        property: context.clientIdentity,
        identity: () => forKoa.clientIdentity(context),
        carrier: context as never,
      }
      context.body = (await handler(seen)) as object
    })
    return app.callback() as Listener
  }
}

export const frameworks: readonly Framework[] = [
  { name: 'Express 5', isKoa: false, listener: expressApp(express) },
  { name: 'Express 4', isKoa: false, listener: expressApp(express4) },
  { name: 'Koa 3', isKoa: true, listener: koaApp(Koa) },
  { name: 'Koa 2', isKoa: true, listener: koaApp(Koa2) },
]

/** Both majors of both, for tests that need the frameworks themselves. */
export const makers = { express5: express, express4, Koa3: Koa, Koa2 }

/** Answers as a server without a framework would: the code is in the body, for the tests. */
export function bare(auth: Authenticator): Listener {
  return async (request: http.IncomingMessage, response: http.ServerResponse) => {
    const decision = await auth.authenticate(request)
    if (decision.outcome === 'accepted') {
      response.end(JSON.stringify({ cn: decision.identity.subject.get('CN') ?? null, via: decision.identity.via }))
      return
    }
    const { status, headers, code } = decision.error
    response.writeHead(status, headers)
    response.end(JSON.stringify({ code }))
  }
}

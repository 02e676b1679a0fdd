/** The application of the matrix: one authenticator behind a server of each protocol. Runs in the tests' process, and compiled in cluster workers. */
import { renameSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { Duplex } from 'node:stream'
import type { TlsOptions } from 'node:tls'
import express from 'express'
import Koa from 'koa'
import { clientCert, clientIdentity } from '../../src/express.js'
import {
  authenticateUpgrade,
  createAuthenticator,
  crl,
  denyList,
  firstDefinite,
  TrustStore,
  tlsServerOptions,
} from '../../src/index.js'
import * as forKoa from '../../src/koa.js'

export const protocols = [
  'HTTP/1.1 on Express 5',
  'HTTP/2 on a bare handler',
  'HTTP/2 on Koa 3',
  'an upgraded connection',
] as const
export type Protocol = (typeof protocols)[number]

/** Files, so that several processes can have the same. */
export interface Setting {
  readonly trust: string
  readonly crls: string
  readonly intermediates: readonly string[]
  readonly tls: { readonly key: string; readonly cert: string }
}

/** What can change while connections and sessions live. */
export interface Moment {
  /** Milliseconds from now. */
  readonly later: number
  /** Fingerprints. */
  readonly denied: readonly string[]
  /** PEM of the trust anchors. */
  readonly trust: string
}

const responses = { exposeReason: true }

export function createApplication({ trust, crls, intermediates, tls }: Setting) {
  let later = 0
  const now = () => Date.now() + later
  const store = TrustStore.load(trust, { watch: false })
  const denied = denyList({ entries: [] })
  const lists = crl({ files: crls, watch: false, now })
  const revocation = firstDefinite(denied, lists)
  const auth = createAuthenticator({ trust: store, intermediates, revocation, watch: false, log: false, now })

  const listeners: { readonly [P in Protocol]: () => unknown } = {
    'HTTP/1.1 on Express 5': () =>
      express()
        .use(clientCert({ authenticator: auth, responses }))
        .use((request, response) => {
          response.json({ cn: clientIdentity(request).subject.get('CN') })
        }),
    'HTTP/2 on a bare handler': () => async (request: IncomingMessage, response: ServerResponse) => {
      const decision = await auth.authenticate(request)
      response.statusCode = decision.outcome === 'accepted' ? 200 : decision.error.status
      response.end(
        JSON.stringify(
          decision.outcome === 'accepted' ? { cn: decision.identity.subject.get('CN') } : { code: decision.error.code },
        ),
      )
    },
    'HTTP/2 on Koa 3': () => {
      const app = new Koa()
      app.use(forKoa.clientCert({ authenticator: auth, responses }))
      app.use((context) => {
        context.body = { cn: forKoa.clientIdentity(context).subject.get('CN') }
      })
      return app.callback()
    },
    'an upgraded connection': () => (_: IncomingMessage, response: ServerResponse) => response.end('{}'),
  }

  return {
    auth,
    serve(protocol: Protocol, extra: TlsOptions = {}): https.Server | http2.Http2SecureServer {
      const listener = listeners[protocol]() as never
      const options = tlsServerOptions(auth, { ...tls, ...extra })
      if (protocol.startsWith('HTTP/2')) return http2.createSecureServer(options, listener)
      const server = https.createServer(options, listener)
      if (protocol === 'an upgraded connection') {
        authenticateUpgrade(server, auth, { responses })
        server.on('upgrade', sayWho)
      }
      return server
    },
    /** All of it at once, as an operator's bad day is. */
    become(moment: Moment): void {
      later = moment.later
      denied.replace(moment.denied)
      // Never half of it, where another process reads it at this moment.
      writeFileSync(`${trust}.${process.pid}`, moment.trust)
      renameSync(`${trust}.${process.pid}`, trust)
      const reloaded = store.reload()
      if (!reloaded.ok) throw reloaded.error
    },
    async close(): Promise<void> {
      await auth.close()
      for (const each of [store, denied, lists]) each.close()
    },
  }
}

/** Relies on `authenticateUpgrade` alone: answers every time it is asked. */
function sayWho(request: IncomingMessage, socket: Duplex): void {
  const body = JSON.stringify({ cn: clientIdentity(request as never).subject.get('CN') })
  const answer = () =>
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: who\r\n\r\n${body}`)
  socket.on('error', () => {})
  socket.on('data', answer)
  answer()
}

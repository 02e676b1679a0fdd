// HTTPS servers in one process, which differ in what stands before the handler.
import https from 'node:https'
// What Express 5 applications have had from npm, and the only version there.
import clientCertificateAuth from 'client-certificate-auth'
import express from 'express'
import Koa from 'koa'
import { createAuthenticator, tlsServerOptions } from 'mtls-identity'
import { clientCert } from 'mtls-identity/express'
import * as forKoa from 'mtls-identity/koa'
import { traceClients } from 'mtls-identity/opentelemetry'
import { prometheusMetrics } from 'mtls-identity/prometheus'
import { Registry } from 'prom-client'
import { serve } from './paired.mjs'

const byHand = (socket) => socket.authorized && socket.getPeerCertificate().subject.CN.startsWith('client-')

/** Metrics, which hear every channel, and spans. */
function watched(authenticator) {
  prometheusMetrics(new Registry(), authenticator)
  traceClients(authenticator)
  return authenticator
}

const inExpress = {
  'no-op': () => (_request, _response, next) => next(),
  'socket.authorized': () => (request, response, next) =>
    request.socket.authorized ? next() : response.sendStatus(401),
  'getPeerCertificate()': () => (request, response, next) =>
    byHand(request.socket) ? next() : response.sendStatus(401),
  // What Node takes of whoever looks at a certificate once.
  'getPeerX509Certificate()': () => (request, response, next) =>
    request.socket.getPeerX509Certificate()?.raw === undefined ? response.sendStatus(401) : next(),
  'client-certificate-auth': () => clientCertificateAuth(({ subject }) => subject.CN.startsWith('client-')),
  clientCert: (authenticator) => clientCert({ authenticator }),
  'clientCert, watched': (authenticator) => clientCert({ authenticator: watched(authenticator) }),
}

const inKoa = {
  'no-op': () => (_context, next) => next(),
  'socket.authorized': () => (context, next) => (context.socket.authorized ? next() : context.throw(401)),
  'getPeerCertificate()': () => (context, next) => (byHand(context.socket) ? next() : context.throw(401)),
  clientCert: (authenticator) => forKoa.clientCert({ authenticator }),
  'clientCert, watched': (authenticator) => forKoa.clientCert({ authenticator: watched(authenticator) }),
}

const applications = {
  express: (kind, authenticator) =>
    express()
      .use(inExpress[kind](authenticator))
      .get('/', (_request, response) => response.send('ok')),
  koa: (kind, authenticator) => {
    const app = new Koa()
    app.use(inKoa[kind](authenticator))
    app.use((context) => {
      context.body = 'ok'
    })
    return app.callback()
  },
}

/** By name, the kind of middleware. Each has an authenticator of its own: none remembers what another has validated. */
serve(({ framework, variants, tls, trust, intermediate }) =>
  Object.fromEntries(
    Object.entries(variants).map(([name, kind]) => {
      const authenticator = createAuthenticator({
        trust,
        intermediates: intermediate,
        revocation: 'none',
        watch: false,
        ...(kind === 'clientCert, watched' ? { candidate: { profile: { minimumRsaBits: 3072 } } } : {}),
      })
      // Asks for a certificate, and takes any.
      const asking = { ...tls, requestCert: true, rejectUnauthorized: false, ca: [] }
      const options = {
        'no-op': asking,
        'getPeerX509Certificate()': asking,
        clientCert: tlsServerOptions(authenticator, tls),
        'clientCert, watched': tlsServerOptions(authenticator, tls),
      }
      // Code without this package leaves it to OpenSSL.
      const validating = { ...asking, ca: [trust, intermediate] }
      const application = applications[framework](kind, authenticator)
      return [name, https.createServer(options[kind] ?? validating, application)]
    }),
  ),
)

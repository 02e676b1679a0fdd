// Express servers in one process: a middleware that does nothing, ours, and one that parses every time.
import { X509Certificate } from 'node:crypto'
import http from 'node:http'
import express from 'express'
import { createAuthenticator, forwardedHeader, proxyAddress } from 'mtls-identity'
import { clientCert } from 'mtls-identity/express'
import { serve } from './paired.mjs'

serve(({ trust, intermediates }) => {
  const authenticator = createAuthenticator({
    trust,
    intermediates,
    revocation: 'none',
    source: forwardedHeader({ preset: 'nginx', from: proxyAddress('127.0.0.1') }),
  })
  const noop = (_request, _response, next) => next()
  const middlewares = {
    'no-op': noop,
    'no-op again': noop,
    clientCert: clientCert({ authenticator }),
    'X509Certificate each time': (request, _response, next) => {
      request.subject = new X509Certificate(decodeURIComponent(request.headers['x-ssl-client-cert'])).subject
      next()
    },
  }
  const serverOf = (middleware) =>
    http.createServer(
      express()
        .use(middleware)
        .get('/', (_request, response) => response.send('ok')),
    )
  return Object.fromEntries(Object.entries(middlewares).map(([name, middleware]) => [name, serverOf(middleware)]))
})

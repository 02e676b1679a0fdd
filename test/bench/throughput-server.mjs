// Three Express servers in one process: a middleware that does nothing, ours, and one that parses every time.
import { X509Certificate } from 'node:crypto'
import express from 'express'
import { createAuthenticator, forwardedHeader, proxyAddress } from 'mtls-identity'
import { clientCert } from 'mtls-identity/express'

// Times of the process are what other processes disturb least.
process.on('message', (message) => {
  if (message === 'cpu') process.send(process.cpuUsage())
})
process.once('message', ({ trust, intermediates }) => {
  const authenticator = createAuthenticator({
    trust,
    intermediates,
    revocation: 'none',
    source: forwardedHeader({ preset: 'nginx', from: proxyAddress('127.0.0.1') }),
  })
  const middlewares = {
    'no-op': (_request, _response, next) => next(),
    'mtls-identity': clientCert({ authenticator }),
    'X509Certificate each time': (request, _response, next) => {
      request.subject = new X509Certificate(decodeURIComponent(request.headers['x-ssl-client-cert'])).subject
      next()
    },
  }
  const ports = {}
  for (const [name, middleware] of Object.entries(middlewares)) {
    const app = express().use(middleware)
    app.get('/', (_request, response) => response.send('ok'))
    const server = app.listen(0, '127.0.0.1', () => {
      ports[name] = server.address().port
      if (Object.keys(ports).length === 3) process.send(ports)
    })
  }
})

// node examples/behind-nginx/server.mjs clients-ca.pem [issuing-ca.pem]
// nginx sends the client's own certificate only, so the CA certificates between it and the root are configured here.
import express from 'express'
import { createAuthenticator, forwardedHeader, proxyAddress } from 'mtls-identity'
import { clientCert, clientIdentity } from 'mtls-identity/express'

const [trust, intermediates] = process.argv.slice(2)

const authenticator = createAuthenticator({
  trust,
  ...(intermediates && { intermediates }),
  revocation: 'none',
  source: forwardedHeader({ preset: 'nginx', from: proxyAddress('127.0.0.1') }),
})
const app = express()
app.use(clientCert({ authenticator }))
app.get('/', (request, response) => response.json(clientIdentity(request)))

const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`Express listens on http://127.0.0.1:${server.address().port}, for nginx only`)
})

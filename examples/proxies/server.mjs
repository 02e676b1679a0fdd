// node examples/proxies/server.mjs nginx clients-ca.pem [issuing-ca.pem]
// The application behind one of the proxies of this folder. Most of them send the client's own certificate only, so the CA certificates between
// it and the root are configured here.
import http from 'node:http'
import express from 'express'
import { createAuthenticator, forwardedHeader, proxyAddress } from 'mtls-identity'
import { clientCert, clientIdentity } from 'mtls-identity/express'

const [preset, trust, intermediates] = process.argv.slice(2)
/** What two of the proxies send beside the preset's header: the field names are those of their configuration. */
const chain = {
  haproxy: 'X-SSL-Client-Chain',
  apache: ['X-SSL-Client-Chain-0', 'X-SSL-Client-Chain-1'],
}[preset]

const authenticator = createAuthenticator({
  trust,
  ...(intermediates && { intermediates }),
  revocation: 'none',
  source: forwardedHeader({ preset, from: proxyAddress('127.0.0.1'), ...(chain && { headers: { chain } }) }),
})
const app = express()
app.use(clientCert({ authenticator }))
app.get('/', (request, response) => response.json(clientIdentity(request)))

// Chains do not always fit into Node's 16 KiB of headers.
const server = http.createServer({ maxHeaderSize: 65_536 }, app)
server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`Express listens on http://127.0.0.1:${server.address().port}, for ${preset} only`)
})

const required = require('mtls-identity')

import('mtls-identity').then((imported) => {
  console.log(required.ClientCertError === imported.ClientCertError)
})

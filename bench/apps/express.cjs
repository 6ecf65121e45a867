'use strict';
// An app that loads something: what compile caches are for.
const express = require('express');

const app = express();
app.get('/', (_req, res) => res.json({ pid: process.pid }));
app.listen(Number(process.env.PORT) || 3000, '127.0.0.1');

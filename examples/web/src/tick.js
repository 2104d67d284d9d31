'use strict';

module.exports.handler = async (event) => {
  console.log('tick', JSON.stringify(event));
};
